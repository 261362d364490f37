/** Runs that learn preference pairs by DPO: what PyTorch computes of them, what the reference is, and how they go on. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import { compact, dense, lora, mesa, qlora, type Method } from '../../lib/methods/index.js';
import { llama, modelFromPretrainedConfig } from '../../lib/models/index.js';
import { largestBatch, remedies } from '../../lib/memory/index.js';
import { learningPreferences } from '../../lib/models/preference.js';
import { cpuTarget, cudaTarget, Engine } from '../../lib/runtime/index.js';
import {
  evaluateModel,
  exportAdapters,
  exportModel,
  fineTune,
  fineTuneOptions,
  Trainer,
  type StepReport,
  type TrainerOptions,
} from '../../lib/train/index.js';
import { contentOf, expectExactResume, train } from '../helpers/exact-resume.js';
import { readJson } from '../helpers/fixtures.js';
import { planTarget } from '../helpers/plan-target.js';
import { cudaDevice, isOnGpu } from '../helpers/machines.js';
import { inputsOf, readModel, readParameters, type RecordedTraining } from '../helpers/model-fixtures.js';
import { expectNear, movedBy, summaryIn } from '../helpers/recorded-training.js';
import { makeFolder, tinyConfig, tinyMethod, tinyRun } from '../helpers/tiny-run.js';
import { largestDifference, type Machine, putWeights, trainTiny } from '../helpers/whole-model.js';

const recorded = readJson('preferences.json') as {
  readonly options: { readonly beta: number; readonly labelSmoothing: number };
  readonly models: Readonly<Record<string, RecordedTraining>>;
};
type Device = 'cpu' | typeof cudaDevice;
const devices: readonly Device[] = isOnGpu ? [cudaDevice] : ['cpu', cudaDevice];

describe.each(
  Object.keys(recorded.models).flatMap((name) => devices.map((device): [string, Device] => [name, device])),
)('%s on %s as in PyTorch', (name, device) => {
  const { adam, batches, learningRates, losses, gradients, after, naiveErrors } = recorded.models[name]!;
  const plain = modelFromPretrainedConfig(readModel(name).config);
  const model = learningPreferences(plain, recorded.options);
  const parameters = readParameters(name, plain);
  const weights = { model, parameters };
  const numSequences = 4;
  const sequenceLength = batches[0]!.tokens.length / numSequences;
  const method = dense(adam);
  const data = batches.map((batch) => ({ inputs: inputsOf(model, batch), numCountedTokens: 2 }));

  async function withModel(
    options: Partial<CompileOptions>,
    body: (engine: Machine, plan: Plan) => Promise<void>,
  ): Promise<void> {
    const plan = compile({
      // Chunks end within sequences.
      ...{ model, method, sequenceLength, batchSize: numSequences, dtype: 'f32', lossChunkTokens: 16 },
      target: device === 'cpu' ? cpuTarget({ threads: 2 }) : cudaTarget(device),
      ...options,
    });
    const engine = await Engine.open({ device, threads: 2 });
    try {
      await engine.load(plan);
      await putWeights(engine, plan, parameters, model.constants(sequenceLength));
      await body(engine, plan);
    } finally {
      await engine.close();
    }
  }

  // Four log-probabilities are rounded as they are stored, two of the model and two of the reference.
  const largest = Math.max(
    ...batches.flatMap(({ referenceLogProbabilities }) => referenceLogProbabilities!.map(Math.abs)),
  );
  const lossTolerance = 2 * naiveErrors.losses + 4 * recorded.options.beta * largest * 2 ** -24;

  test('log-probabilities of all answers, of which evaluation gives the ratios', async () => {
    await withModel({ entries: ['evaluate'] }, async (engine) => {
      const { inputs } = data[0]!;
      const reference = inputs['referenceLogProbabilities'] as Float32Array;
      const zeros = { ...inputs, referenceLogProbabilities: new Float32Array(numSequences) };
      const { outputs } = await engine.run('evaluate', { inputs: zeros, scalars: { lossScale: 0.5 } });
      // Sums of seven to nine logarithms of 41 probabilities in float32.
      expect(largestDifference(outputs['logRatios']!, reference)).toBeLessThan(1e-4);
      const against = await engine.run('evaluate', { inputs, scalars: { lossScale: 0.5 } });
      expect(Math.abs(against.outputs['loss']![0]! - Math.log(2))).toBeLessThan(lossTolerance);
    });
  });

  test('gradients of every parameter', async () => {
    await withModel({ accumulateGradients: true }, async (engine, plan) => {
      const scalars = { accumulate: 0, lossScale: 1 / 2 };
      const { outputs } = await engine.run('accumulate', { inputs: data[0]!.inputs, scalars });
      expect(Math.abs(outputs.loss![0]! - losses[0]!)).toBeLessThan(lossTolerance);
      expectNear(await summaryIn(engine, plan, weights, '.gradient'), gradients, naiveErrors.gradients);
    });
  });

  test('three steps of AdamW', async () => {
    await withModel({ entries: ['train'] }, async (engine, plan) => {
      const found = await trainTiny(engine, plan, method, { microBatches: 1, learningRates }, data);
      expect(largestDifference(found.losses, losses)).toBeLessThan(lossTolerance);
      const moved = movedBy(gradients, await summaryIn(engine, plan, weights));
      expectNear(moved, movedBy(gradients, after), naiveErrors.after);
    });
  });
});

const { folder, text } = makeFolder();
let numPaths = 0;
const newPath = (ending = ''): string => join(folder, `${numPaths++}${ending}`);
function jsonl(rows: readonly object[]): string {
  const path = newPath('.jsonl');
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

/** The better answer is of one letter, the worse one of another, whatever the prompt. */
const rows = Array.from({ length: 24 }, (_, i) => ({
  prompt: `${String.fromCharCode(99 + i)}:`,
  chosen: 'a'.repeat(1 + (i % 5)),
  rejected: 'b'.repeat(1 + ((i + 2) % 5)),
}));
const records = jsonl(rows);
const texts = jsonl(Array.from({ length: 12 }, (_, i) => ({ prompt: `${i}:`, completion: 'ab' })));
const base = join(folder, 'base');
beforeAll(async () => {
  const outputDirectory = newPath();
  const run = tinyRun(text, { method: dense(), sequenceLength: 16, maxSteps: 10, outputDirectory });
  await using trainer = await Trainer.create(run);
  await trainer.run();
  await exportModel({ checkpoint: outputDirectory, folder: base });
});

const run = (change: Partial<TrainerOptions> = {}): TrainerOptions => ({
  ...{ model: llama(tinyConfig), method: dense({ weightDecay: 0 }), baseModel: base, threads: 1 },
  ...{ data: { records, validationFraction: 0.25 }, preference: { beta: 0.5 } },
  ...{ batchSize: 6, sequenceLength: 16, maxSteps: 6, learningRate: 0.002, device: 'cpu' as const },
  ...change,
});

async function reportsOf(options: TrainerOptions): Promise<StepReport[]> {
  await using trainer = await Trainer.create(options);
  const reports: StepReport[] = [];
  for await (const report of trainer) reports.push(report);
  return reports;
}

test('a run goes away from the reference on the side of the better answers', async () => {
  const outputDirectory = newPath();
  const options = run({ maxSteps: 60, evalSteps: 30, loggingSteps: 1, outputDirectory });
  const reports = await reportsOf(options);
  // The run starts from the reference: no answer has a reward, and the loss is that of a guess.
  const [first] = reports;
  expect(first!.loss).toBeCloseTo(Math.log(2), 5);
  expect(first!.metrics!['rewardsMargin']).toBeCloseTo(0, 5);
  expect(first!.metrics!['logProbabilitiesChosen']).toBeLessThan(-1);
  const last = reports.at(-1)!;
  expect(last.metrics!['rewardsAccuracy']).toBe(1);
  expect(last.metrics!['rewardsMargin']).toBeGreaterThan(1);
  expect(last.loss).toBeLessThan(0.4);
  const { metrics, numTokens } = last.evaluation!;
  expect(numTokens).toBe(6);
  expect(metrics!['rewardsMargin']).toBeCloseTo(metrics!['rewardsChosen']! - metrics!['rewardsRejected']!, 5);
  const lines = readFileSync(join(outputDirectory, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const logged = lines.map((line) => JSON.parse(line) as Record<string, number>);
  expect(logged.find(({ step }) => step === 60)).toMatchObject(last.metrics!);
  expect(logged.at(-1)).toMatchObject({ step: 60, evalRewardsAccuracy: metrics!['rewardsAccuracy'] });
});

test('the loss of a step is the mean over its pairs, however they are cut into micro-batches', async () => {
  const change = { data: { records, validationFraction: 0 }, maxSteps: 3 };
  const whole = await reportsOf(run({ ...change, batchSize: 12 }));
  const cut = await reportsOf(run({ ...change, batchSize: 2, gradientAccumulationSteps: 6 }));
  expect(cut.map(({ numTokens }) => numTokens)).toEqual([6, 6, 6]);
  cut.forEach(({ loss, metrics }, i) => {
    // Sums of equal terms in another order: f32 rounding.
    expect(loss).toBeCloseTo(whole[i]!.loss, 5);
    expect(metrics!['rewardsMargin']).toBeCloseTo(whole[i]!.metrics!['rewardsMargin']!, 4);
  });
});

test.each<[string, Method]>([
  ['compact', compact({ ...tinyMethod, updateScale: 1 })],
  ['lora', lora({ r: 4 })],
  ['qlora', qlora({ r: 4 })],
  ['mesa', mesa()],
])('%s learns preferences', async (_, method) => {
  const reports = await reportsOf(run({ method, maxSteps: 40, learningRate: 0.005 }));
  expect(reports[0]!.loss).toBeCloseTo(Math.log(2), 4);
  expect(reports.at(-1)!.metrics!['rewardsMargin']).toBeGreaterThan(0.5);
});

test('bf16 and layers that are rebuilt in backward learn them, too', async () => {
  const change = { dtype: 'bf16', recompute: 'layer', maxSteps: 40, learningRate: 0.005 } as const;
  const reports = await reportsOf(run(change));
  // The reference is what the same forward pass gave: also in bf16 there is nothing between them.
  expect(reports[0]!.loss).toBeCloseTo(Math.log(2), 4);
  expect(reports.at(-1)!.metrics!['rewardsMargin']).toBeGreaterThan(0.5);
});

test('gradients by rows and gradients whole make the same steps', async () => {
  const change = { method: dense({ embeddingChunk: 64 }), maxSteps: 3 };
  const [rowsOfIt, whole] = [
    await reportsOf(run(change)),
    await reportsOf(run({ ...change, method: dense() })),
  ];
  expect(rowsOfIt.map(({ loss }) => loss)).toEqual(whole.map(({ loss }) => loss));
});

test('what trains is told, and batches that would fit are of whole pairs', async () => {
  await using trainer = await Trainer.create(run({ method: compact(tinyMethod) }));
  expect(trainer.parts.find(({ part }) => part === 'query')).toMatchObject({ isTrained: true });
  const plan = {
    ...{ model: learningPreferences(llama(tinyConfig), {}), method: dense(), target: planTarget },
    ...{ batchSize: 16, sequenceLength: 64, dtype: 'f32' as const },
  };
  const memory = compile({ ...plan, batchSize: 7 * 2 }).peakBytes - 1;
  expect(largestBatch(plan, memory)!.batchSize).toBe(12);
  for (const { change } of remedies(plan, memory)) expect(Number(change['batchSize'] ?? 2) % 2).toBe(0);
  expect(() => compile({ ...plan, evaluateBatchSize: 3 })).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'evaluateBatchSize' }),
  );
  await expect(Trainer.create(run({ memoryLimitBytes: 100_000 }))).rejects.toMatchObject({
    code: 'ERR_COMPACT_DOES_NOT_FIT',
  });
});

describe('a run that goes on', () => {
  test('equals an uninterrupted one to the bit', () =>
    expectExactResume(run({ method: compact(tinyMethod), maxSteps: 8 }), () => newPath(), [2, 5]));

  test('reads the reference that was kept, and else computes it again from the weights of its beginning', async () => {
    const options = run({ maxSteps: 6 });
    const straight = await train({ ...options, outputDirectory: newPath() });
    const outputDirectory = newPath();
    await train({ ...options, outputDirectory }, 3);
    const kept = join(outputDirectory, 'data', 'reference-log-probabilities.safetensors');
    const content = readFileSync(kept);
    const others = [newPath(), newPath(), newPath()];
    for (const other of others) cpSync(outputDirectory, other, { recursive: true });
    const goOn = async (output: string): Promise<{ content: unknown; numTold: number }> => {
      let numTold = 0;
      const onReference = () => void numTold++;
      const again = { ...options, outputDirectory: output, resumeFromCheckpoint: 'auto', onReference };
      const { checkpoint } = await train(again);
      return { content: await contentOf(checkpoint), numTold };
    };
    const right = await contentOf(straight.checkpoint);
    expect(await goOn(others[0]!)).toEqual({ content: right, numTold: 0 });
    rmSync(join(others[1]!, 'data'), { recursive: true });
    const once = await goOn(others[1]!);
    expect(once).toEqual({ content: right, numTold: expect.any(Number) });
    expect(once.numTold).toBeGreaterThan(0);
    expect(readFileSync(join(others[1]!, 'data', 'reference-log-probabilities.safetensors'))).toEqual(
      content,
    );
    // Half a file is none.
    writeFileSync(
      join(others[2]!, 'data', 'reference-log-probabilities.safetensors'),
      content.subarray(0, 200),
    );
    expect((await goOn(others[2]!)).content).toEqual(right);
  });

  test('is held to the adapters that it started from, whether they are named again or not', async () => {
    const tuned = newPath();
    const method = lora({ r: 2, targetModules: 'all-linear' });
    await train(
      run({
        method,
        data: { records: texts },
        preference: undefined,
        learningRate: 0.05,
        outputDirectory: tuned,
      }),
      3,
    );
    const adapter = newPath();
    await exportAdapters({ checkpoint: tuned, folder: adapter });
    const options = run({ method, adapter, maxSteps: 4 });
    const straight = await train({ ...options, outputDirectory: newPath() });
    const right = await contentOf(straight.checkpoint);
    const plain = await train({ ...options, adapter: undefined, outputDirectory: newPath() });
    expect(await contentOf(plain.checkpoint)).not.toEqual(right);
    for (const again of [adapter, undefined]) {
      const outputDirectory = newPath();
      await train({ ...options, outputDirectory }, 2);
      rmSync(join(outputDirectory, 'data'), { recursive: true }); // the reference is computed once more
      const { checkpoint } = await train({
        ...options,
        ...{ adapter: again, outputDirectory, resumeFromCheckpoint: 'auto' },
      });
      expect(await contentOf(checkpoint)).toEqual(right);
    }
  });

  test('keeps its strength', async () => {
    const outputDirectory = newPath();
    await train(run({ outputDirectory }), 2);
    const other = run({ outputDirectory, resumeFromCheckpoint: 'latest', preference: { beta: 0.1 } });
    await expect(Trainer.create(other)).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_MISMATCH',
      op: 'preference',
    });
  });
});

test('computing the reference can be aborted, and leaves nothing behind', async () => {
  const outputDirectory = newPath();
  const abort = new AbortController();
  const many = jsonl(Array.from({ length: 40 }, () => rows).flat());
  const options = run({ outputDirectory, batchSize: 2, data: { records: many }, signal: abort.signal });
  const started = Trainer.create({ ...options, onReference: () => abort.abort() });
  // Told at the latest when it is done: then the start ends all the same.
  await expect(started).rejects.toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
  expect(statSync(outputDirectory, { throwIfNoEntry: false })).toBeUndefined();
});

describe('fine-tuning', () => {
  test('learns pairs by DPO where the records are some, and gives a model of language', async () => {
    const given = {
      model: base,
      data: records,
      outputDirectory: newPath(),
      threads: 1,
      device: 'cpu' as const,
    };
    const chosen = await fineTuneOptions(given);
    expect(chosen).toMatchObject({ preference: {}, numTrainEpochs: 1, batchSize: 32, evalSteps: 0.5 });
    expect(chosen.learningRate).toBeCloseTo(5e-7 / 0.25, 12);
    expect((await fineTuneOptions({ ...given, method: lora({ r: 4 }) })).learningRate).toBe(5e-6);
    expect(await fineTuneOptions({ ...given, gradientAccumulationSteps: 3 })).toMatchObject({
      batchSize: 12,
    });
    const { folder: made, evaluation } = await fineTune({ ...given, maxSteps: 2, preference: { beta: 0.3 } });
    expect(evaluation!.metrics).toHaveProperty('rewardsAccuracy');
    const config = (of: string): unknown => JSON.parse(readFileSync(join(of, 'config.json'), 'utf8'));
    expect(config(made!)).toEqual(config(base));
    const { loss } = await evaluateModel({ model: made!, data: text, threads: 1, device: 'cpu' });
    expect(loss).toBeGreaterThan(0);
  });

  test('mixed records are refused', async () => {
    const mixed = jsonl([...rows, { prompt: 'a', completion: 'b' }]);
    const given = { model: base, data: mixed, outputDirectory: newPath() };
    await expect(fineTuneOptions(given)).rejects.toMatchObject({ code: 'ERR_COMPACT_DATA_RECORD' });
  });
});

describe('what is refused', () => {
  test.each<[string, () => Partial<TrainerOptions>, object]>([
    ['half a pair', () => ({ batchSize: 3 }), { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'batchSize' }],
    ['a strength of zero', () => ({ preference: { beta: 0 } }), { op: 'preference.beta' }],
    [
      'smoothing beyond a guess',
      () => ({ preference: { labelSmoothing: 0.5 } }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'preference.labelSmoothing' },
    ],
    ['running text', () => ({ data: { train: text } }), { code: 'ERR_COMPACT_CONFIG_VALUE' }],
    [
      'pairs without a word of preferences',
      () => ({ preference: undefined }),
      { code: 'ERR_COMPACT_DATA_RECORD', message: expect.stringContaining('is a preference pair') },
    ],
    [
      'texts for a run of preferences',
      () => ({ data: { records: jsonl([{ text: 'a' }, { text: 'b' }]) } }),
      { code: 'ERR_COMPACT_DATA_RECORD', message: expect.stringContaining('is no preference pair') },
    ],
    [
      'a head in int8',
      () => ({ method: qlora({ r: 4, embeddingWeights: 'int8' }) }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'embeddingWeights' },
    ],
    [
      'a model that is not causal',
      () => ({ model: modelFromPretrainedConfig(readModel('bert').config), baseModel: undefined }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'preference' },
    ],
    [
      'a model whose loss is of something else',
      () => {
        const model = llama(tinyConfig);
        return {
          model: {
            ...model,
            build: (graph, options) => model.build(graph, { ...options, preference: undefined }),
          },
        };
      },
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'preference' },
    ],
  ])('%s', async (_, change, error) => {
    const outputDirectory = newPath();
    await expect(Trainer.create(run({ ...change(), outputDirectory }))).rejects.toMatchObject(error);
    expect(statSync(outputDirectory, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('evaluating pairs without a reference', async () => {
    await expect(evaluateModel({ model: base, data: records, threads: 1 })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_RECORD',
      message: expect.stringContaining('preference pair'),
    });
  });
});
