/** Checkpoints of models with adapters: what their files hold, and that they are read with the adapters. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { lora, type Method, relora } from '../../lib/methods/index.js';
import { evaluateCheckpoint, Sampler, Trainer } from '../../lib/train/index.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const heldOut = join(folder, 'held-out.txt');
const r = 4;

/** Trains for eight steps; what the run itself says of its text, and its checkpoint. */
async function trained(method: Method, name: string) {
  await writeFile(heldOut, 'one two three four five six seven eight nine\n'.repeat(20));
  const data = { train: text, validation: heldOut };
  const run = tinyRun(text, { method, data, outputDirectory: join(folder, name), learningRate: 0.05 });
  await using trainer = await Trainer.create(run);
  const { loss } = await trainer.evaluate();
  const { checkpoint } = await trainer.run();
  const sample = { prompt: 'one ', maxNewTokens: 12, temperature: 0 };
  return {
    lossBefore: loss,
    loss: (await trainer.evaluate()).loss,
    written: (await trainer.sample(sample)).text,
    sample,
    checkpoint: checkpoint!.path,
  };
}

test.each<[string, Method]>([
  ['lora', lora({ r, targetModules: 'all-linear' })],
  ['relora, merged after 3 steps and 6', relora({ r, resetInterval: 3, restartWarmupSteps: 1 })],
])('%s: a checkpoint evaluates and samples as the run does', async (name, method) => {
  const { checkpoint, lossBefore, loss, sample, written } = await trained(method, name.slice(0, 6));
  expect(loss).toBeLessThan(lossBefore - 0.01);
  const options = { checkpoint, threads: 1 };
  expect((await evaluateCheckpoint({ ...options, data: heldOut, batchSize: 2 })).loss).toBe(loss);
  await using sampler = await Sampler.open(options);
  expect((await sampler.sample(sample)).text).toBe(written);
});

test('files hold adapters under the names and in the layout of PEFT, states of them alone', async () => {
  const { checkpoint } = await trained(lora({ r, targetModules: ['key', 'down'] }), 'files');
  await using weights = await SafetensorsFile.open(join(checkpoint, 'model.safetensors'));
  await using states = await SafetensorsFile.open(join(checkpoint, 'optimizer.safetensors'));
  const shapeOf = (name: string) => weights.tensors.get(`model.layers.1.${name}.weight`)?.shape;
  const { hiddenSize, intermediateSize } = tinyConfig;
  const keyWidth = hiddenSize / 2;
  expect(shapeOf('self_attn.k_proj')).toEqual([keyWidth, hiddenSize]);
  expect(shapeOf('self_attn.k_proj.lora_A')).toEqual([r, hiddenSize]);
  expect(shapeOf('self_attn.k_proj.lora_B')).toEqual([keyWidth, r]);
  expect(shapeOf('mlp.down_proj.lora_A')).toEqual([r, intermediateSize]);
  expect(shapeOf('mlp.down_proj.lora_B')).toEqual([hiddenSize, r]);
  expect(shapeOf('self_attn.q_proj.lora_A')).toBeUndefined();
  expect([...states.tensors.keys()].every((name) => name.includes('.lora_'))).toBe(true);
  expect(states.tensors.size).toBe(2 * 2 * 2 * tinyConfig.numHiddenLayers);
});

describe('what a checkpoint says of its method', () => {
  let checkpoint: string;
  beforeAll(async () => {
    ({ checkpoint } = await trained(lora({ r }), 'described'));
  });

  /** Evaluates with another description of the method. */
  async function evaluateAs(change: object) {
    const file = join(checkpoint, 'trainer.json');
    const before = await readFile(file, 'utf8');
    const state = JSON.parse(before) as { method: object };
    await writeFile(file, `${JSON.stringify({ ...state, method: { ...state.method, ...change } })}\n`);
    try {
      return await evaluateCheckpoint({ checkpoint, data: heldOut, threads: 1 });
    } finally {
      await writeFile(file, before);
    }
  }

  test.each<[string, object, string]>([
    ['options that cannot be', { r: 0 }, 'ERR_COMPACT_CHECKPOINT_INVALID'],
    ['another rank', { r: 2 }, 'ERR_COMPACT_CHECKPOINT_MISMATCH'],
    ['a method without adapters', { name: 'my-own' }, 'ERR_COMPACT_CHECKPOINT_MISMATCH'],
  ])('%s is refused', async (_, change, code) => {
    await expect(evaluateAs(change)).rejects.toMatchObject({ code });
  });

  test('the rest of it does not matter', async () => {
    expect((await evaluateAs({ weightDecay: 0.5 })).loss).toBeGreaterThan(0);
  });
});
