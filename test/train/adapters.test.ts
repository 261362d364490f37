/** Training of adapters: checkpoints and what their files hold, projected inputs on machines. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { compile } from '../../lib/compile/index.js';
import { lora, type Method, qlora, relora, StepClock } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { runOptimizerStep } from '../../lib/train/schedule/optimizer-step.js';
import { evaluateModel, Sampler, Trainer } from '../../lib/train/index.js';
import { expectExactResume } from '../helpers/exact-resume.js';
import { cudaDevice, targetsOf, withEngine } from '../helpers/machines.js';
import { randomIntegers } from '../helpers/random.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import { largestDifference, parameterNames, putWeights, readValues } from '../helpers/whole-model.js';
import { windowOf } from '../helpers/window-of.js';
import type { Tensor } from '../reference/index.js';

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
  const options = { model: checkpoint, data: heldOut, batchSize: 2, threads: 1 };
  expect((await evaluateModel(options)).loss).toBe(loss);
  await using sampler = await Sampler.open({ checkpoint, threads: 1 });
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
      return await evaluateModel({ model: checkpoint, data: heldOut, threads: 1 });
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

describe('projected inputs', () => {
  const inputs = { inputRank: 8, inputRefreshInterval: 7 } as const;
  const adapters = {
    r: 4,
    loraAlpha: 16,
    epsilon: 1e-3,
    weightDecay: 0.1,
    targetModules: 'all-linear',
    ...inputs,
  } as const;
  const config = {
    vocabSize: 29,
    hiddenSize: 16,
    intermediateSize: 40,
    numHiddenLayers: 1,
    numAttentionHeads: 2,
    numKeyValueHeads: 1,
  };
  const rate = 0.003;
  const shape = { batchSize: 2, sequenceLength: 8 };
  const numTokens = shape.batchSize * shape.sequenceLength;
  const methods: readonly [string, Method][] = [
    ['lora', lora(adapters)],
    ['lora with Lion', lora({ ...adapters, epsilon: undefined, optimizer: 'lion' })],
    ['qlora', qlora(adapters)],
    ['relora, merged after 5 steps', relora({ ...adapters, resetInterval: 5, restartWarmupSteps: 2 })],
  ];

  const model = llama(config);
  const steps = Array.from({ length: 20 }, (_, i) => `batch ${i + 1}`);

  function twinOf(method: Method) {
    const twin = new TwinTrainer(model, method, shape);
    const start = new Map(twin.persistent);
    const clock = new StepClock(method);
    const losses = steps.map((name) => {
      const loss = twin.step(name, { ...clock.scalars, learningRate: rate * clock.learningRateFactor });
      for (const entry of clock.completeStep()?.entries ?? []) twin.between(entry, clock.scalars);
      return loss;
    });
    return { start, losses, weights: twin.persistent };
  }

  /** Twenty steps on a machine from the weights that a twin starts with. */
  async function train(
    method: Method,
    start: ReadonlyMap<string, Tensor>,
    machine: 'avx2' | typeof cudaDevice,
    dtype: 'f32' | 'bf16',
  ) {
    const target = targetsOf(machine, [2])[0]!;
    const plan = compile({ model, method, target, ...shape, dtype, entries: ['train'] });
    const losses: number[] = [];
    const weights = new Map<string, Float64Array>();
    await withEngine(machine, 2, async (engine) => {
      await engine.load(plan);
      await putWeights(engine, plan, start, model.constants(shape.sequenceLength));
      const clock = new StepClock(method);
      for (const name of steps) {
        const of = (input: string) =>
          Int32Array.from(randomIntegers(`${name} ${input}`, [numTokens], config.vocabSize).data);
        const inputs = { tokens: of('tokens'), targets: of('targets') };
        const window = windowOf([{ inputs, numCountedTokens: numTokens }]);
        const scalars = { ...clock.scalars, learningRate: rate * clock.learningRateFactor };
        losses.push((await runOptimizerStep(engine, plan, window, scalars)).loss);
        for (const entry of clock.completeStep()?.entries ?? [])
          await engine.run(entry, { scalars: clock.scalars });
      }
      for (const name of parameterNames(plan)) weights.set(name, await readValues(engine, plan, name));
    });
    return { losses, weights };
  }

  test.each(methods)('twenty steps of %s are those of the float64 twin', async (name, method) => {
    const twin = twinOf(method);
    let moved = 0;
    for (const [weight, { data }] of twin.weights)
      if (twin.start.has(weight))
        moved = Math.max(moved, largestDifference(data, twin.start.get(weight)!.data));
    expect(moved).toBeGreaterThan(0.02);
    // fp32 over twenty steps; with Lion an element whose average is near zero goes the other way by twice the rate.
    const tolerance = name.includes('Lion') ? 0.02 : 5e-5;
    for (const machine of ['avx2', cudaDevice] as const) {
      const f32 = await train(method, twin.start, machine, 'f32');
      if (f32.losses.length === 0) continue; // this computer has no such machine
      expect(largestDifference(f32.losses, twin.losses)).toBeLessThan(tolerance);
      for (const [weight, values] of f32.weights)
        expect(largestDifference(values, twin.weights.get(weight)!.data)).toBeLessThan(tolerance);
      // A rounding of relative size 2^-8 for each of some ten values between a token and its loss.
      const bf16 = await train(method, twin.start, machine, 'bf16');
      expect(largestDifference(bf16.losses, twin.losses)).toBeLessThan(0.03 * twin.losses[0]!);
    }
  });

  let numRuns = 0;
  const newOutput = (): string => join(folder, `resumed-${numRuns++}`);
  const small = { r, targetModules: 'all-linear', inputRank: 8, inputRefreshInterval: 3 } as const;
  test.each<[string, Method, object]>([
    ['lora', lora(small), { gradientAccumulationSteps: 2 }],
    ['lora in bf16 with eight-bit states', lora({ ...small, optimizer: 'adamw-8bit' }), { dtype: 'bf16' }],
    ['qlora in bf16', qlora(small), { dtype: 'bf16', maxGradNorm: 0.5 }],
    ['relora', relora({ ...small, resetInterval: 4, restartWarmupSteps: 1 }), {}],
  ])('a run that is resumed equals an uninterrupted one to the bit: %s', async (_, method, change) => {
    await expectExactResume(tinyRun(text, { method, ...change }), newOutput, [2, 5]);
  });
});
