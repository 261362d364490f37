/**
 * Training verb by verb: the same bits as a run of the trainer, sums of gradients as one pass gives them, and states that go
 * on exactly.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { compact, dense, galore, lora, type Method } from '../../lib/methods/index.js';
import {
  exportModel,
  Sampler,
  Trainer,
  TrainingSession,
  type SessionExample,
  type SessionOptions,
} from '../../lib/train/index.js';
import { loadModel } from '../../lib/train/index.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
const base = join(folder, 'base');
let numFolders = 0;
const newFolder = (): string => join(folder, `states-${numFolders++}`);
const sequenceLength = 32;

beforeAll(async () => {
  const outputDirectory = join(folder, 'first');
  await using trainer = await Trainer.create(
    tinyRun(text, { method: dense(), sequenceLength, maxSteps: 10, outputDirectory }),
  );
  await trainer.run();
  await exportModel({ checkpoint: outputDirectory, folder: base });
});

const open = (change: Partial<SessionOptions> = {}): Promise<TrainingSession> =>
  TrainingSession.open({ model: base, method: dense(), sequenceLength, threads: 1, ...change });

const records = ['one plus two', 'three and four', 'fife is not five'].map((prompt, i) => ({
  prompt,
  completion: ` is ${i} or ${i * 7}`,
}));

/** The weights after `steps` updates, and the losses on the way. */
async function train(
  session: TrainingSession,
  examples: readonly SessionExample[],
  steps: number,
): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const { loss } = await session.forwardBackward([examples[session.step % examples.length]!]);
    losses.push(loss);
    await session.optimStep({ learningRate: 0.01, embeddingLearningRate: 0.002 });
  }
  return losses;
}

const weightsIn = (checkpoint: string): Buffer => readFileSync(join(checkpoint, 'model.safetensors'));
const statesIn = (checkpoint: string): Buffer => readFileSync(join(checkpoint, 'optimizer.safetensors'));

const methods: readonly (readonly [string, Method])[] = [
  ['compact', compact({ rank: 8, refreshInterval: 2 })],
  ['compact with Muon', compact({ rank: 8, refreshInterval: 2, optimizer: 'muon' })],
  ['galore', galore({ rank: 8, refreshInterval: 2 })],
  ['lora', lora({ r: 4 })],
];

test.each(methods)('%s: steps are those of a trainer, to the bit', async (_, method) => {
  const record = { prompt: 'seven plus eight', completion: ' is fifteen' };
  const file = join(folder, 'record.jsonl');
  writeFileSync(file, JSON.stringify(record));
  const outputDirectory = newFolder();
  const run = {
    ...{ model: loadModel(base), baseModel: base, method, outputDirectory, sequenceLength, threads: 1 },
    ...{ batchSize: 1, maxSteps: 5, learningRate: 0.01, embeddingLearningRate: 0.002, maxGradNorm: 1 },
    ...({ lrSchedulerType: 'constant', loggingSteps: 1 } as const),
  };
  const data = { records: file, packing: false, validationFraction: 0 };
  const isAdapter = method.name === 'lora';
  const rates = isAdapter ? { embeddingLearningRate: undefined } : {};
  await using trainer = await Trainer.create({ ...run, ...rates, data });
  const losses: number[] = [];
  for await (const { loss } of trainer) losses.push(loss);
  await using session = await open({ method, maxGradNorm: 1 });
  const found = await train(session, await session.encode([record]), 5);
  expect(found).toEqual(losses);
  const { path, step } = await session.saveState(newFolder());
  expect(step).toBe(5);
  const checkpoint = join(outputDirectory, 'checkpoint-5');
  expect(weightsIn(path).equals(weightsIn(checkpoint))).toBe(true);
  expect(statesIn(path).equals(statesIn(checkpoint))).toBe(true);
});

test.each(methods)('%s goes on from a state to the bit', async (_, method) => {
  await using session = await open({ method, maxGradNorm: 1 });
  const examples = await session.encode(records);
  await train(session, examples, 3);
  const early = await session.saveState(newFolder());
  const losses = await train(session, examples, 4);
  const whole = await session.saveState(newFolder());
  await using other = await open({ method, maxGradNorm: 1 });
  await train(other, examples, 1); // what stood in it is gone
  await other.forwardBackward(examples);
  await other.loadState(early.path);
  expect(other.step).toBe(3);
  expect(await train(other, examples, 4)).toEqual(losses);
  const again = await other.saveState(newFolder());
  expect(weightsIn(again.path).equals(weightsIn(whole.path))).toBe(true);
  expect(statesIn(again.path).equals(statesIn(whole.path))).toBe(true);
  // The session that wrote it goes back as well.
  await session.loadState(early.path);
  expect(await train(session, examples, 4)).toEqual(losses);
});

describe('gradients', () => {
  /** Weights after one update, as floats. */
  async function updated(
    passes: (session: TrainingSession, examples: readonly SessionExample[]) => Promise<unknown>,
    change: Partial<SessionOptions> = {},
  ): Promise<Buffer> {
    await using session = await open({ batchSize: 2, ...change });
    await passes(session, await session.encode([...records, { prompt: 'a', completion: 'b' }]));
    await session.optimStep({ learningRate: 0.01 });
    return weightsIn((await session.saveState(newFolder())).path);
  }
  const furthest = (a: Buffer, b: Buffer): number => {
    const headerBytes = 8 + Number(a.readBigUInt64LE(0));
    const floats = (bytes: Buffer) => new Float32Array(Uint8Array.from(bytes.subarray(headerBytes)).buffer);
    const [x, y] = [floats(a), floats(b)];
    return x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0);
  };

  test('of several calls add up to those of one, whatever the size of a batch', async () => {
    const counts = (example: SessionExample): number =>
      Array.from(example.weights!).reduce((sum: number, weight) => sum + weight, 0);
    const whole = await updated((session, examples) => session.forwardBackward(examples));
    const single = await updated(
      async (session, examples) => {
        const all = examples.reduce((sum, example) => sum + counts(example), 0);
        // Not waited for one by one.
        await Promise.all(
          examples.map((example) => session.forwardBackward([example], { scale: counts(example) / all })),
        );
      },
      { batchSize: 3 },
    );
    // Adam's first update is the rate times the sign of a gradient, but where that is next to nothing.
    expect(furthest(whole, single)).toBeLessThan(2e-4);
    const other = await updated((session, examples) => session.forwardBackward(examples.slice(1)));
    expect(furthest(whole, other)).toBeGreaterThan(1e-2);
  });

  test('are those of the tokens that count', async () => {
    await using session = await open();
    const [example] = await session.encode([records[0]!]);
    const { tokens } = example!;
    const weights = Array.from(example!.weights!);
    const { loss, numTokens } = await session.forward([example!]);
    expect(numTokens).toBe(weights.filter((weight) => weight === 1).length);
    let sum = 0;
    for (const [place, weight] of weights.entries()) {
      if (weight === 0) continue;
      const alone = weights.map((_, i) => Number(i === place));
      const found = await session.forward([{ tokens, weights: alone }]);
      expect(found.numTokens).toBe(1);
      sum += found.loss;
    }
    expect(sum / numTokens).toBeCloseTo(loss, 5);
    expect((await session.forward([{ tokens }])).numTokens).toBe(tokens.length - 1);
  });
});

test('writes the text that a sampler of its state writes', async () => {
  await using session = await open({ method: compact({ rank: 8 }) });
  await train(session, await session.encode(records), 6);
  const asked = { prompt: 'one plus two', maxNewTokens: 12, temperature: 0 };
  const { text: written } = await session.sample(asked);
  const { path } = await session.saveState(newFolder());
  await using sampler = await Sampler.open({ checkpoint: path, threads: 1 });
  expect(written).toBe((await sampler.sample(asked)).text);
});

describe('what cannot be', () => {
  test.each<[string, (session: TrainingSession) => Promise<unknown>, object]>([
    ['an update without gradients', (s) => s.optimStep({ learningRate: 1 }), { op: 'optimStep' }],
    ['no examples', (s) => s.forwardBackward([]), { code: 'ERR_COMPACT_TYPE' }],
    ['an example of nothing', (s) => s.forwardBackward([{ tokens: [] }]), { op: 'tokens' }],
    ['no object', (s) => s.forwardBackward([null as never]), { op: 'tokens' }],
    [
      'a long example',
      (s) => s.forward([{ tokens: Array(33).fill(1) }]),
      { expected: '1 to 32 ids', received: '"33 ids"' },
    ],
    ['an id beyond the vocabulary', (s) => s.forward([{ tokens: [1, 264] }]), { received: '264' }],
    ['half a token', (s) => s.forward([{ tokens: [1, 0.5] }]), { received: '0.5' }],
    ['weights of another length', (s) => s.forward([{ tokens: [1, 2], weights: [1] }]), { op: 'weights' }],
    ['a weight between', (s) => s.forward([{ tokens: [1, 2], weights: [0, 0.5] }]), { expected: '0 or 1' }],
    ['nothing that counts', (s) => s.forward([{ tokens: [1] }]), { op: 'examples' }],
    ['a scale of nothing', (s) => s.forwardBackward([{ tokens: [1, 2] }], { scale: 0 }), { op: 'scale' }],
    ['a rate by another name', (s) => s.optimStep({ lr: 1 } as never), { op: 'lr' }],
    ['no checkpoint', (s) => s.loadState(join(folder, 'none')), { code: 'ERR_COMPACT_CHECKPOINT_MISSING' }],
  ])('%s is refused', async (_, call, expected) => {
    await using session = await open();
    await expect(call(session)).rejects.toMatchObject(expected);
    // And nothing has changed.
    expect((await session.forwardBackward([{ tokens: [1, 2, 3] }])).numTokens).toBe(2);
    expect(await session.optimStep({ learningRate: 0 })).toMatchObject({ step: 1 });
  });

  test('a state while gradients wait, a state of another method, and calls after the end', async () => {
    const session = await open();
    await session.forwardBackward([{ tokens: [1, 2, 3] }]);
    await expect(session.saveState(newFolder())).rejects.toMatchObject({ op: 'saveState' });
    await session.optimStep({ learningRate: 0.01 });
    const states = newFolder();
    const { path } = await session.saveState(states);
    await expect(session.saveState(states)).rejects.toMatchObject({ op: 'saveState' });
    await using other = await open({ method: compact({ rank: 8 }) });
    await expect(other.loadState(path)).rejects.toMatchObject({ code: 'ERR_COMPACT_CHECKPOINT_MISMATCH' });
    const last = session.forward([{ tokens: [1, 2, 3] }]);
    await session.close();
    expect((await last).numTokens).toBe(2);
    await expect(session.sample()).rejects.toMatchObject({ code: 'ERR_COMPACT_DISPOSED' });
    await session.close();
  });

  test('a method that updates in the middle of backward', async () => {
    const { lomo } = await import('../../lib/methods/index.js');
    await expect(open({ method: lomo() })).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE' });
  });
});
