/** Runs that end when they stop to improve, and with their best weights. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dense } from '../../lib/methods/index.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';
import {
  evaluateModel,
  Trainer,
  type BestModelMetric,
  type EvaluateReport,
  type TrainerOptions,
} from '../../lib/train/index.js';
import { EarlyStopping } from '../../lib/train/evaluation/early-stopping.js';
import { contentOf, train } from '../helpers/exact-resume.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);
/** Learns one text by heart, and gets worse at another. */
const heldOut = join(folder, 'held-out.txt');
writeFileSync(heldOut, 'Nothing of this is written as numbers are. '.repeat(8));
const run = (change: Partial<TrainerOptions> = {}): TrainerOptions =>
  tinyRun(text, {
    data: { train: text, validation: heldOut },
    ...{ method: dense(), learningRate: 0.02, lrSchedulerType: 'constant', maxSteps: 40, evalSteps: 2 },
    ...{ outputDirectory: newOutput(), ...change },
  });

const evaluationsOf = async (trainer: Trainer): Promise<{ step: number; loss: number }[]> => {
  const told: { step: number; loss: number }[] = [];
  trainer.on('evaluate', ({ step, loss }) => told.push({ step, loss }));
  await trainer.run();
  return told;
};

const lowest = (told: readonly { step: number; loss: number }[]) =>
  told.reduce((best, each) => (each.loss < best.loss ? each : best));

describe('earlyStoppingPatience', () => {
  test('counts evaluations in a row that are not below the lowest', () => {
    const stopping = new EarlyStopping(2, 'loss');
    const due = [3, 2, 2.5, 1.9, 1.9, 2].map((loss) => {
      stopping.add(loss);
      return stopping.isDue;
    });
    expect(due).toEqual([false, false, false, false, false, true]);
    expect(new EarlyStopping(2, 'loss', stopping.state).isDue).toBe(true);
    expect(new EarlyStopping(3, 'loss', stopping.state).isDue).toBe(false);
    expect(new EarlyStopping(0, 'loss', stopping.state).isDue).toBe(false);
  });

  test('of a metric counts those that are not above the highest, and starts anew for another one', () => {
    const stopping = new EarlyStopping(2, 'accuracy');
    expect(stopping.state).toBeUndefined();
    const due = [NaN, 0, 0.5, 0.5, 0.6, NaN, 0.4].map((value) => {
      stopping.add(value);
      return stopping.isDue;
    });
    expect(due).toEqual([false, false, false, false, false, false, true]);
    expect(stopping.state).toEqual({ metric: 'accuracy', value: 0.6, numWorse: 2 });
    expect(new EarlyStopping(2, 'accuracy', stopping.state).isDue).toBe(true);
    expect(new EarlyStopping(2, 'f1', stopping.state).isDue).toBe(false);
  });

  test('ends a run, also one that goes on from a checkpoint, at the same step', async () => {
    const patience = { earlyStoppingPatience: 3, saveSteps: 1, saveTotalLimit: 0 };
    await using trainer = await Trainer.create(run(patience));
    const told = await evaluationsOf(trainer);
    const result = await trainer.run(); // over, so nothing is left to do
    expect(result).toMatchObject({ reason: 'earlyStopped', step: told.at(-1)!.step });
    expect(result.step).toBeLessThan(40);
    expect(told.at(-1)!.step).toBe(lowest(told).step + 3 * 2);
    const outputDirectory = newOutput();
    const options = run({ ...patience, outputDirectory, resumeFromCheckpoint: 'auto' });
    await train(options, lowest(told).step + 3);
    const resumed = await train(options);
    expect(await contentOf(resumed.checkpoint)).toEqual(await contentOf(result.checkpoint!.path));
  });
});

describe('loadBestModelAtEnd', () => {
  test('saves the best when it is found, and ends with it', async () => {
    const options = run({ loadBestModelAtEnd: true, saveTotalLimit: 1 });
    await using trainer = await Trainer.create(options);
    const told = await evaluationsOf(trainer);
    const { bestModel, checkpoint, reason } = await trainer.run();
    const best = lowest(told);
    expect(best.step).toBeLessThan(40);
    expect(reason).toBe('completed');
    expect(bestModel).toEqual({
      path: join(options.outputDirectory!, `checkpoint-${best.step}`),
      ...{ step: best.step, metric: 'loss', value: best.loss },
    });
    expect(checkpoint).toMatchObject({ step: 40 });
    const evaluated = await trainer.evaluate();
    expect(evaluated).toMatchObject(best);
    const { loss } = await evaluateModel({ model: bestModel!.path, data: heldOut, batchSize: 2, threads: 1 });
    expect(loss).toBe(best.loss);
    const saved = readdirSync(options.outputDirectory!).filter((name) => name.startsWith('checkpoint-'));
    expect(saved.sort()).toEqual([`checkpoint-${best.step}`, 'checkpoint-40'].sort());
  });

  test('of a run that was stopped is not done yet', async () => {
    await using trainer = await Trainer.create(run({ loadBestModelAtEnd: true }));
    trainer.on('step', ({ step }) => step === 39 && trainer.requestStop());
    expect(await trainer.run()).toMatchObject({ reason: 'stopped', step: 39, bestModel: undefined });
    expect(await trainer.run()).toMatchObject({
      reason: 'completed',
      step: 40,
      bestModel: expect.anything(),
    });
  });
});

describe('metricForBestModel', () => {
  const records = (name: string, labelOf: (i: number) => number): string => {
    const path = join(folder, name);
    const rows = Array.from({ length: 48 }, (_, i) => ({
      text: 'ab'[i % 2]!.repeat(1 + (i % 5)),
      label: labelOf(i),
    }));
    writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
    return path;
  };
  const encoder = (task: object) =>
    modelFromPretrainedConfig(
      {
        ...{
          model_type: 'bert',
          hidden_act: 'gelu',
          vocab_size: 257,
          hidden_size: 16,
          intermediate_size: 32,
        },
        ...{ num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 8 },
        architectures: ['BertForMaskedLM'],
      },
      { initializerRange: 0.2, ...task },
    );
  const classes = encoder({ task: 'sequence-classification', numLabels: 2 });
  const number = encoder({ task: 'regression' });
  /** Of held-out classes a quarter is wrong, of numbers the scale: what is learnt for sure makes the loss grow again. */
  const data = {
    classes: {
      records: records('classes.jsonl', (i) => i % 2),
      validation: records('some-wrong.jsonl', (i) => (i + Number(i % 8 < 2)) % 2),
    },
    number: {
      records: records('numbers.jsonl', (i) => 4 * (i % 2) - 2),
      validation: records('smaller.jsonl', (i) => (i % 2) / 10 + (i % 3) / 100),
    },
  };
  const learning = (change: Partial<TrainerOptions>): TrainerOptions =>
    run({
      ...{ model: classes, data: data.classes, sequenceLength: 8, batchSize: 8, learningRate: 0.003 },
      ...change,
    });

  test.each<[BestModelMetric, Partial<TrainerOptions>]>([
    ['accuracy', {}],
    ['f1', {}],
    ['matthewsCorrelation', {}],
    ['pearsonCorrelation', { model: number, data: data.number }],
  ])('%s: the highest is the best, also where the loss was lower before', async (metric, change) => {
    const options = learning({ ...change, metricForBestModel: metric, loadBestModelAtEnd: true });
    await using trainer = await Trainer.create(options);
    const told: EvaluateReport[] = [];
    trainer.on('evaluate', (report) => told.push(report));
    const { bestModel, checkpoint } = await trainer.run();
    const value = Math.max(...told.map(({ metrics }) => metrics![metric]!).filter(Number.isFinite));
    const { step } = told.find(({ metrics }) => metrics![metric] === value)!;
    expect([value > 0.4, step !== lowest(told).step]).toEqual([true, true]);
    const path = join(options.outputDirectory!, `checkpoint-${step}`);
    const isLast = step === 40;
    expect(checkpoint).toMatchObject({ step: 40, isBest: isLast });
    expect(bestModel).toEqual(isLast ? undefined : { path, step, metric, value });
    expect((await trainer.evaluate()).metrics![metric]).toBe(value);
  });

  test('ends a run, also one that goes on from a checkpoint, at the same step', async () => {
    const change = { metricForBestModel: 'accuracy', earlyStoppingPatience: 3, saveSteps: 1 } as const;
    const result = await train(learning(change));
    expect(result.losses.length).toBeLessThan(40);
    const options = learning({ ...change, resumeFromCheckpoint: 'auto' });
    await train(options, result.losses.length - 3);
    const resumed = await train(options);
    expect(await contentOf(resumed.checkpoint)).toEqual(await contentOf(result.checkpoint));
  });

  test('another one than before the checkpoint: the best is found anew', async () => {
    const options = learning({ loadBestModelAtEnd: true, resumeFromCheckpoint: 'auto' });
    await train(options, 20);
    await using trainer = await Trainer.create({ ...options, metricForBestModel: 'accuracy' });
    const { bestModel, step } = await trainer.run();
    expect(step).toBe(40);
    expect(bestModel).toMatchObject({ metric: 'accuracy' });
    expect(bestModel!.step).toBeGreaterThan(20);
  });

  test.each<[string, Partial<TrainerOptions>, object]>([
    ['accuracy of tokens', { metricForBestModel: 'accuracy' }, { expected: /^one of loss, which/ }],
    [
      'f1 of three classes',
      learning({
        metricForBestModel: 'f1',
        model: encoder({ task: 'sequence-classification', numLabels: 3 }),
      }),
      { expected: /^one of loss, accuracy, macroF1, matthewsCorrelation, which/ },
    ],
    [
      'a correlation of classes',
      learning({ metricForBestModel: 'pearsonCorrelation' }),
      { received: '"pearsonCorrelation"' },
    ],
    [
      'accuracy of numbers',
      learning({ metricForBestModel: 'accuracy', model: number, data: data.number }),
      { expected: /^one of loss, pearsonCorrelation, spearmanCorrelation, which/ },
    ],
    [
      'a metric without evaluations',
      learning({ metricForBestModel: 'accuracy', evalSteps: 0 }),
      { expected: /^evalSteps above 0/ },
    ],
    [
      'a metric that there is not',
      learning({ metricForBestModel: 'acuracy' as 'accuracy' }),
      { remedy: "Did you mean 'accuracy'?" },
    ],
  ])('%s is refused', async (_, change, { expected, ...fields }: { readonly expected?: RegExp }) => {
    await expect(Trainer.create(run(change))).rejects.toMatchObject({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: 'metricForBestModel',
      ...fields,
      ...(expected && { expected: expect.stringMatching(expected) }),
    });
  });
});

test.each<[string, Partial<TrainerOptions>, string]>([
  ['patience without evaluations', { earlyStoppingPatience: 1, evalSteps: 0 }, 'earlyStoppingPatience'],
  ['the best model without evaluations', { loadBestModelAtEnd: true, evalSteps: 0 }, 'loadBestModelAtEnd'],
  [
    'the best model without a folder',
    { loadBestModelAtEnd: true, outputDirectory: undefined },
    'loadBestModelAtEnd',
  ],
])('%s is refused', async (_, change, op) => {
  await expect(Trainer.create(run(change))).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE', op });
});
