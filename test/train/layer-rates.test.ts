/** Learning rates that fall from layer to layer: which rate each has, in every method, and over a run. */
import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { ratedPart } from '../../lib/graph/index.js';
import {
  dense,
  methodCatalogue,
  methodFromDescription,
  StepClock,
  type Method,
} from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { readState } from '../../lib/train/checkpoints/checkpoint-state.js';
import { Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { layerRates, type LearningRates } from '../../lib/train/schedule/learning-rates.js';
import { writeConstants } from '../../lib/train/weights/tensor-files.js';
import { expectExactResume, train } from '../helpers/exact-resume.js';
import { makeFolder, tinyConfig, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);

const sizes = { batchSize: 2, sequenceLength: 16, dtype: 'f32', entries: ['initialize', 'train'] } as const;
const model = llama(tinyConfig);
const planOf = (change: Partial<CompileOptions>) =>
  compile({ ...sizes, model, method: dense(), target: cpuTarget(), ...change });

const learningRate = 0.01;
const ratesOf = (factor: number): LearningRates => ({
  learningRate: factor * learningRate,
  embeddingLearningRate: factor * 2 * learningRate,
  headLearningRate: factor * 3 * learningRate,
  normLearningRate: factor * 4 * learningRate,
});

describe('the rate of a layer', () => {
  test('is that of all times the decay, once for each layer from the last one to it', () => {
    const rates = layerRates(planOf({ layerRates: true }), 0.5)(ratesOf(1));
    expect(rates).toEqual({
      'embeddingLearningRate:embedding': 0.0025, // 0.02 / 2^3
      'learningRate:layers.0': 0.0025, // 0.01 / 2^2
      'normLearningRate:layers.0': 0.01, // 0.04 / 2^2
      'learningRate:layers.1': 0.005, // 0.01 / 2
      'normLearningRate:layers.1': 0.02, // 0.04 / 2
    });
  });

  test('counts layers that are not trained', () => {
    const method = dense({ frozen: ['model.layers.1.*', 'model.embed_tokens.*'] });
    const rates = layerRates(planOf({ layerRates: true, method }), 0.5)(ratesOf(1));
    expect(rates).toEqual({ 'learningRate:layers.0': 0.0025, 'normLearningRate:layers.0': 0.01 });
  });

  test('a plan that is not asked for them has none, and is as large', () => {
    const [plain, layered] = [planOf({}), planOf({ layerRates: true })];
    expect(plain.scalars.filter((name) => name.includes(':'))).toEqual([]);
    expect(layered.peakBytes).toBe(plain.peakBytes);
  });
});

/** What one step leaves of everything that outlives it, by the part of the model; rates are those of all times a factor. */
async function afterOneStep(method: Method, factor: number, decay?: number) {
  const plan = planOf({ method, layerRates: decay !== undefined });
  await using engine = await Engine.open({ device: 'cpu', threads: 1 });
  await engine.load(plan);
  await writeConstants(engine, plan, model, sizes.sequenceLength);
  await engine.run('initialize');
  if (plan.entries['prepare'] !== undefined) await engine.run('prepare');
  const clock = new StepClock(method);
  const entry = plan.entries[`step:${clock.variant}`] ?? plan.entries['step']!;
  const tokens = Int32Array.from({ length: 32 }, (_, i) => (7 * i) % 50);
  const rates = ratesOf(factor);
  const ofLayers = decay === undefined ? {} : layerRates(plan, decay)(rates);
  await engine.run(entry.name, {
    inputs: { tokens, targets: tokens.toReversed() },
    scalars: { ...clock.scalars, ...rates, ...ofLayers, lossScale: 1 / 32, accumulate: 0 },
  });
  const parts = new Map<string, Record<string, string>>();
  for (const { name, layer } of plan.values.filter(({ region }) => region === 'persistent')) {
    const { buffer } = await engine.read(name);
    const part = ratedPart(layer) ?? 'above';
    parts.set(part, { ...parts.get(part), [name]: Buffer.from(buffer).toString('base64') });
  }
  return parts;
}

const { methods, optimizers } = methodCatalogue();
const everyMethod = [
  ...methods.map(({ name, options }) => ({
    name,
    ...(options.some((option) => option.name === 'r') && { r: 4 }),
    ...(options.some((option) => option.name === 'blocks') && { blocks: 1 }),
  })),
  ...optimizers.map(({ name }) => ({ name: 'dense', optimizer: name })),
  { name: 'dense', weights: 'int8' },
  { name: 'compact', optimizer: 'muon' },
];

/** Each layer ends a step as in a run whose one factor is that of the layer: powers of two, which round nothing. */
test.each(everyMethod)('%j: each layer learns at its rate, to the bit', async (description) => {
  const method = methodFromDescription(description);
  const layered = await afterOneStep(method, 1, 0.5);
  const whole = await afterOneStep(method, 1);
  const factors = { embedding: 1 / 8, 'layers.0': 1 / 4, 'layers.1': 1 / 2, above: 1 };
  expect([...layered.keys()].toSorted()).toEqual(Object.keys(factors).toSorted());
  let numDifferent = 0;
  for (const [part, factor] of Object.entries(factors)) {
    expect(layered.get(part)).toEqual((await afterOneStep(method, factor)).get(part));
    numDifferent += Number(!isDeepStrictEqual(layered.get(part), whole.get(part)));
  }
  // Methods with adapters train no embeddings.
  expect(numDifferent).toBeGreaterThanOrEqual(2);
});

describe('layerLearningRateDecay of a run', () => {
  const rates = { embeddingLearningRate: 0.04, headLearningRate: 0.02, normLearningRate: 0.03 };
  const lossesOf = async (change: Partial<TrainerOptions>) =>
    (await train(tinyRun(text, { ...change, outputDirectory: newOutput() }))).losses;

  test('1 changes no bit, less changes the second loss', async () => {
    const plain = await lossesOf(rates);
    expect(await lossesOf({ ...rates, layerLearningRateDecay: 1 })).toEqual(plain);
    const decayed = await lossesOf({ ...rates, layerLearningRateDecay: 0.5 });
    expect(decayed[0]).toBe(plain[0]);
    expect(decayed[1]).not.toBe(plain[1]);
  });

  test('goes on to the bit, accumulated and clipped, and stands in the checkpoint', async () => {
    const change = { ...rates, layerLearningRateDecay: 0.9, gradientAccumulationSteps: 2, maxGradNorm: 0.5 };
    await expectExactResume(tinyRun(text, change), newOutput, [2, 5]);
    const { checkpoint } = await train(tinyRun(text, { ...change, outputDirectory: newOutput() }), 1);
    expect((await readState(checkpoint)).training).toMatchObject({ layerLearningRateDecay: 0.9 });
  });

  test.each([0, 1.1, -0.5, NaN, '0.9'])('%p is refused', async (layerLearningRateDecay) => {
    const options = tinyRun(text, { layerLearningRateDecay: layerLearningRateDecay as number });
    await expect(Trainer.create(options)).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: 'layerLearningRateDecay',
    });
  });

  test('is refused where no layer that is trained has a rate', async () => {
    const method = dense({ frozen: ['model.layers.*', 'model.embed_tokens.*'] });
    const options = tinyRun(text, { method, layerLearningRateDecay: 0.9 });
    await expect(Trainer.create(options)).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: 'layerLearningRateDecay',
    });
  });
});
