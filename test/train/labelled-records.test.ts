/** Encoders that learn classes from labelled records: what they read, what is refused, and that they learn. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ignoreIndex, prepareData, type RecordDataOptions } from '../../lib/data/index.js';
import { openWeights } from '../../lib/formats/index.js';
import { dense, lora } from '../../lib/methods/index.js';
import { llama, modelFromPretrainedConfig } from '../../lib/models/index.js';
import {
  evaluateModel,
  exportAdapters,
  exportModel,
  fineTuneOptions,
  Trainer,
  type TrainerOptions,
  type TrainResult,
} from '../../lib/train/index.js';
import { expectExactResume } from '../helpers/exact-resume.js';
import { writeModelFolder } from '../helpers/model-folder.js';
import { makeFolder, tinyConfig } from '../helpers/tiny-run.js';

const { folder } = makeFolder();
let numFiles = 0;

function jsonl(rows: readonly object[]): string {
  const path = join(folder, `${numFiles++}.jsonl`);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

/** The class of a text is told by one of its letters. */
const rows = Array.from({ length: 60 }, (_, i) => ({
  text: `${'xyz'.slice(i % 3)}${'abc'[i % 3]!.repeat(1 + (i % 4))}`,
  label: i % 3,
}));
const records = jsonl(rows);
const sequenceLength = 12;

const classifier = (overrides: object = {}) =>
  modelFromPretrainedConfig(
    {
      ...{ model_type: 'bert', hidden_act: 'gelu', vocab_size: 257, hidden_size: 16, intermediate_size: 32 },
      ...{ num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 16 },
      architectures: ['BertForMaskedLM'],
    },
    { task: 'sequence-classification', numLabels: 3, ...overrides },
  );

const runOn = (
  data: Partial<RecordDataOptions> = {},
  change: Partial<TrainerOptions> = {},
): TrainerOptions => ({
  model: classifier({ initializerRange: 0.2 }),
  method: dense({ weightDecay: 0 }),
  data: { records, validationFraction: 0.2, ...data },
  ...{ batchSize: 8, sequenceLength, maxSteps: 30, learningRate: 0.01, threads: 1, device: 'cpu' },
  ...change,
});

describe('what a model for classes reads', () => {
  const open = async (data: Partial<RecordDataOptions> = {}) => {
    const reading = { sequenceLength, vocabularySize: 257, seed: 3, isHeldOut: true };
    const prepared = await prepareData({ records, ...data }, reading, classifier().batchFields);
    return prepared.open();
  };

  test('a record a sequence, its padding masked, and its class', async () => {
    await using data = await open();
    const { inputs, numCountedTokens } = await data.validationBatch(0, 2);
    const { tokens, attentionMask, tokenTypes, labels } = inputs;
    expect(Object.keys(inputs)).toEqual(['tokens', 'attentionMask', 'tokenTypes', 'labels']);
    expect([numCountedTokens, [...labels!]]).toEqual([2, [0, 1]]);
    expect([...tokenTypes!]).toEqual(Array(2 * sequenceLength).fill(0));
    for (const [row, { text }] of rows.slice(0, 2).entries()) {
      const numSeen = [...attentionMask!.subarray(row * sequenceLength, (row + 1) * sequenceLength)].join('');
      const ids = tokens!.subarray(row * sequenceLength, (row + 1) * sequenceLength);
      expect(String.fromCharCode(...ids.subarray(0, text.length))).toBe(text);
      expect(numSeen.replace(/0+$/, '')).toMatch(new RegExp(`^1{${text.length},}$`));
    }
  });

  test('beyond the last record nothing counts, and something is seen', async () => {
    await using data = await open();
    const { inputs, numCountedTokens } = await data.validationBatch(59, 2);
    expect([numCountedTokens, [...inputs['labels']!]]).toEqual([1, [2, ignoreIndex]]);
    expect([...inputs['attentionMask']!.subarray(sequenceLength)]).toEqual([
      1,
      ...Array<number>(sequenceLength - 1).fill(0),
    ]);
  });
});

test('the classes are learnt, and are told of held-out records', async () => {
  const outputDirectory = join(folder, 'learnt');
  await using trainer = await Trainer.create(runOn({}, { evalSteps: 30, outputDirectory }));
  const { evaluation, checkpoint } = await trainer.run();
  expect(evaluation!.loss).toBeLessThan(0.5 * Math.log(3));
  expect(evaluation!.metrics!['accuracy']).toBeGreaterThan(0.8);
  // Half of the labels are the next class: the accuracy is halved, whatever the batches.
  const some = jsonl(rows.map(({ text, label }, i) => ({ text, label: i < 30 ? label : (label + 1) % 3 })));
  const read = { model: checkpoint!.path, data: some, device: 'cpu', threads: 1 };
  const [ofEight, ofSeven] = [await evaluateModel(read), await evaluateModel({ ...read, batchSize: 7 })];
  expect(ofEight).toMatchObject({ numTokens: 60, metrics: ofSeven.metrics });
  const all = await evaluateModel({ ...read, data: records });
  expect(ofEight.metrics!['accuracy']).toBeLessThan(all.metrics!['accuracy']! - 0.4);
  expect(Object.keys(all.metrics!)).toEqual(['accuracy', 'macroF1', 'matthewsCorrelation']);
});

test('a trained model is exported, and fine-tuned further by the names of its classes', async () => {
  const outputDirectory = join(folder, 'first');
  await using trainer = await Trainer.create(runOn({}, { maxSteps: 2, outputDirectory }));
  const { checkpoint } = await trainer.run();
  const exported = join(folder, 'exported');
  await exportModel({ checkpoint: checkpoint!.path, folder: exported });
  const data = { records, tokenizer: 'bytes', classes: ['a', 'b', 'c'] };
  const options = await fineTuneOptions({ model: exported, data, outputDirectory: join(folder, 'more') });
  expect(options.model).toMatchObject({ name: 'bert' });
  expect(options.model.describe()).toMatchObject({ labelNames: ['a', 'b', 'c'] });
  const short = { ...options, maxSteps: 1, numTrainEpochs: undefined, warmupRatio: undefined };
  await using further = await Trainer.create({ ...short, evalSteps: 0, device: 'cpu', threads: 1 });
  expect((await further.run()).step).toBe(1);
});

test('a run goes on where it was', async () => {
  const run = runOn({}, { maxSteps: 6, gradientAccumulationSteps: 2 });
  await expectExactResume(run, () => join(folder, `${numFiles++}`), [2, 5]);
});

describe('any number of classes at once', () => {
  /** Letters tell classes: a of class 0, b of class 1, c of class 2. */
  const letters = ['a', 'b', 'c', 'ab', 'bc', 'abc', 'x'];
  const several = letters.concat(letters, letters, letters).map((text, i) => ({
    text: text.repeat(1 + (i % 3)),
    labels: ['a', 'b', 'c'].flatMap((letter, label) => (text.includes(letter) ? [label] : [])),
  }));
  const lists = jsonl(several);
  const model = classifier({ task: 'multi-label-classification', initializerRange: 0.2 });
  const learning = (change: Partial<TrainerOptions> = {}): TrainerOptions =>
    runOn({ records: lists }, { model, maxSteps: 60, ...change });

  test('are read as 1 or 0 for each class, and beyond the last record count for nothing', async () => {
    const reading = { sequenceLength, vocabularySize: 257, seed: 3, isHeldOut: true };
    const one = jsonl([
      { text: 'a', labels: [2, 0] },
      { text: 'x', labels: [] },
      { text: 'b', label: 1 },
    ]);
    const kinds = jsonl([
      { text: 'a', labels: [2, 0] },
      { text: 'x', labels: [] },
    ]);
    await using data = await (await prepareData({ records: kinds }, reading, model.batchFields)).open();
    const { inputs, numCountedTokens } = await data.validationBatch(0, 3);
    expect([numCountedTokens, [...inputs['labels']!]]).toEqual([6, [1, 0, 1, 0, 0, 0, -100, -100, -100]]);
    expect(data.numCountedTokens(0, 2)).toBe(6);
    await using mixed = await (await prepareData({ records: one }, reading, model.batchFields)).open();
    expect([...(await mixed.validationBatch(2, 1)).inputs['labels']!]).toEqual([0, 1, 0]);
  });

  test('are learnt, told by exact and by single labels, and evaluated alike in any batches', async () => {
    const outputDirectory = join(folder, 'several');
    const metricForBestModel = 'microF1';
    await using trainer = await Trainer.create(
      learning({ evalSteps: 60, outputDirectory, metricForBestModel }),
    );
    const { evaluation, checkpoint } = await trainer.run();
    expect(evaluation!.loss).toBeLessThan(0.5 * Math.log(2));
    expect(Object.keys(evaluation!.metrics!)).toEqual(['accuracy', 'macroF1', 'microF1']);
    const read = { model: checkpoint!.path, data: lists, device: 'cpu', threads: 1 };
    const [ofEight, ofFive] = [await evaluateModel(read), await evaluateModel({ ...read, batchSize: 5 })];
    expect(ofEight).toMatchObject({ numTokens: 3 * several.length, metrics: ofFive.metrics });
    expect(ofEight.metrics!['microF1']).toBeGreaterThan(0.8);
    expect(ofEight.loss).toBeCloseTo(ofFive.loss, 6);
  });

  test('goes on where it was', async () => {
    await expectExactResume(learning({ maxSteps: 6 }), () => join(folder, `${numFiles++}`), [2, 5]);
  });

  test('begin on a model for something else where the first record has a list', async () => {
    const base = join(folder, 'several-base');
    await writeModelFolder(base, classifier({ task: 'masked-lm', numLabels: undefined }));
    const data = { records: lists, tokenizer: 'bytes', classes: ['a', 'b', 'c'] };
    const options = await fineTuneOptions({
      model: base,
      data,
      outputDirectory: join(folder, 'fine-several'),
    });
    expect(options.model.describe()).toMatchObject({
      task: 'multi-label-classification',
      labelNames: ['a', 'b', 'c'],
    });
  });

  test.each<[string, object, object]>([
    ['a class that the model does not have', { text: 'a', labels: [0, 3] }, { details: { line: 2 } }],
    ['a text without classes', { text: 'a', kind: 'none' }, {}],
  ])('%s is refused', async (_, row, expected) => {
    const data = { records: jsonl([several[0]!, row]), kind: 'labels' as const };
    await expect(Trainer.create(runOn(data, { model }))).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_RECORD',
      ...expected,
    });
  });
});

describe('a regression', () => {
  /** How far the letter of a text is in the alphabet tells its number. */
  const numbered = (change: (label: number) => unknown = (label) => label): string =>
    jsonl(rows.map(({ text }, i) => ({ text, label: change((i % 3) - 0.5) })));
  const numbers = numbered();
  const regressor = (overrides: object = {}) =>
    classifier({ task: 'regression', numLabels: 1, initializerRange: 0.2, ...overrides });
  const regressing = (change: Partial<TrainerOptions> = {}): TrainerOptions =>
    runOn({ records: numbers }, { model: regressor(), ...change });
  let checkpoint: string;
  let learnt: TrainResult;
  beforeAll(async () => {
    const outputDirectory = join(folder, 'regression');
    await using trainer = await Trainer.create(regressing({ evalSteps: 30, outputDirectory }));
    learnt = await trainer.run();
    checkpoint = learnt.checkpoint!.path;
  });
  const evaluate = (change: (label: number) => unknown = (label) => label) =>
    evaluateModel({ model: checkpoint, data: numbered(change), device: 'cpu', threads: 1, batchSize: 7 });

  test('is learnt, and told by error and correlations', async () => {
    const { loss, metrics, perplexity } = learnt.evaluation!;
    // The variance of the labels is 2/3.
    expect([loss < 1 / 3, metrics!['pearsonCorrelation']! > 0.8, perplexity]).toEqual([
      true,
      true,
      undefined,
    ]);
    expect(Object.keys(metrics!)).toEqual(['pearsonCorrelation', 'spearmanCorrelation']);
    const lines = readFileSync(join(folder, 'regression', 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      evalLoss: loss,
      evalPearsonCorrelation: metrics!['pearsonCorrelation'],
      evalSpearmanCorrelation: metrics!['spearmanCorrelation'],
    });
  });

  test('the loss is the mean square of the error: of labels moved both ways the mean grows by the square', async () => {
    const { loss, metrics, numTokens } = await evaluate();
    const up = await evaluate((label) => String(label + 2)); // as tables hold numbers
    const down = await evaluate((label) => label - 2);
    expect(numTokens).toBe(60);
    expect((up.loss + down.loss) / 2 - loss).toBeCloseTo(4, 4);
    expect(up.metrics!['pearsonCorrelation']).toBeCloseTo(metrics!['pearsonCorrelation']!, 12);
    const turned = await evaluate((label) => -(label ** 3));
    expect(turned.metrics!['spearmanCorrelation']).toBeCloseTo(-metrics!['spearmanCorrelation']!, 12);
  });

  test('goes on where it was', async () => {
    const run = regressing({ maxSteps: 6, gradientAccumulationSteps: 2 });
    await expectExactResume(run, () => join(folder, `${numFiles++}`), [2, 5]);
  });

  test('begins on a model for something else where the data says so', async () => {
    const base = join(folder, 'regression-base');
    await writeModelFolder(base, classifier({ task: 'masked-lm', numLabels: undefined }));
    const data = { records: numbers, tokenizer: 'bytes', regression: true };
    const options = await fineTuneOptions({ model: base, data, outputDirectory: join(folder, 'fine') });
    expect(options.model.describe()).toMatchObject({ task: 'regression' });
  });

  test.each<[string, TrainerOptions, object]>([
    [
      'classes',
      runOn({ records: numbers, classes: 3 }, { model: regressor() }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'data.classes' },
    ],
    [
      'labels that are said to be classes',
      runOn({ records: numbers, regression: false }, { model: regressor() }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'data.regression' },
    ],
    [
      'numbers for a model of classes',
      runOn({ records: numbers, regression: true }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'data.regression' },
    ],
    [
      'a text as a number',
      runOn({ records: numbered((label) => (label > 1 ? 'much' : label)) }, { model: regressor() }),
      { code: 'ERR_COMPACT_DATA_RECORD', details: { line: 3 } },
    ],
    [
      'texts without a number',
      runOn({ records: jsonl([{ text: 'a' }]) }, { model: regressor() }),
      { code: 'ERR_COMPACT_DATA_RECORD', details: { line: 1 } },
    ],
  ])('%s are refused', async (_, options, expected) => {
    await expect(Trainer.create(options)).rejects.toMatchObject(expected);
  });

  test('classes and a regression at once are refused', async () => {
    const data = { records: numbers, tokenizer: 'bytes', regression: true, classes: 3 };
    await expect(
      fineTuneOptions({ model: checkpoint, data, outputDirectory: join(folder, 'both') }),
    ).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE' });
  });
});

describe('refused before anything starts', () => {
  test.each<[string, TrainerOptions, object]>([
    [
      'a class that the model does not have',
      runOn({ records: jsonl([{ text: 'a', label: 3 }]) }),
      { code: 'ERR_COMPACT_DATA_RECORD' },
    ],
    [
      'texts without a class',
      runOn({ records: jsonl([{ text: 'a' }]) }),
      { code: 'ERR_COMPACT_DATA_RECORD' },
    ],
    [
      'several classes at once',
      runOn({ records: jsonl([{ text: 'a', labels: [0, 1] }]) }),
      { code: 'ERR_COMPACT_DATA_RECORD' },
    ],
    ['packing', runOn({ packing: true }), { code: 'ERR_COMPACT_CONFIG_VALUE', op: 'isPacked' }],
    [
      'running text',
      { ...runOn(), data: { train: records } },
      { code: 'ERR_COMPACT_CONFIG_VALUE', received: 'attentionMask' },
    ],
    [
      'a model of masked tokens',
      runOn({}, { model: classifier({ task: 'masked-lm', numLabels: undefined }) }),
      { code: 'ERR_COMPACT_CONFIG_VALUE', received: 'attentionMask' },
    ],
    ['a model of language', runOn({}, { model: llama(tinyConfig) }), { code: 'ERR_COMPACT_DATA_RECORD' }],
  ])('%s', async (_, options, expected) => {
    await expect(Trainer.create(options)).rejects.toMatchObject(expected);
  });
});

describe('adapters of an encoder whose head began with the run', () => {
  const [base, merged, adapters] = ['masked', 'merged', 'adapters'].map((name) => join(folder, name)) as [
    ...[string, string, string],
  ];
  let checkpoint: string;
  beforeAll(async () => {
    await writeModelFolder(base, classifier({ task: 'masked-lm', numLabels: undefined }));
    const method = lora({ r: 2, targetModules: 'all-linear' });
    const change = { model: classifier(), baseModel: base, method, maxSteps: 3, learningRate: 0.05 };
    const outputDirectory = join(folder, 'adapted');
    await using trainer = await Trainer.create(runOn({}, { ...change, outputDirectory }));
    checkpoint = (await trainer.run()).checkpoint!.path;
  });

  test('merged into the base model it is the model that was trained, with its head', async () => {
    await exportModel({ checkpoint, folder: merged, baseModel: base });
    const read = { data: records, device: 'cpu', threads: 1 } as const;
    const [found, right] = [
      await evaluateModel({ ...read, model: merged }),
      await evaluateModel({ ...read, model: checkpoint }),
    ];
    expect(Math.abs(found.loss - right.loss)).toBeLessThan(1e-5 * right.loss);
  });

  test('for PEFT the head is saved whole, with what its adapters add', async () => {
    await exportAdapters({ checkpoint, folder: adapters });
    const config = JSON.parse(readFileSync(join(adapters, 'adapter_config.json'), 'utf8')) as object;
    expect(config).toMatchObject({
      task_type: 'SEQ_CLS',
      modules_to_save: ['classifier', 'pooler.dense'],
      target_modules: ['intermediate.dense', 'key', 'output.dense', 'query', 'value'],
    });
    await using file = await openWeights(join(adapters, 'adapter_model.safetensors'));
    await using whole = await openWeights(join(merged, 'model.safetensors'));
    for (const name of ['classifier.weight', 'classifier.bias', 'bert.pooler.dense.weight']) {
      const { byteLength, shape } = whole.tensors.get(name)!;
      expect(file.tensors.get(`base_model.model.${name}`)!.shape).toEqual(shape);
      const [found, right] = [new Uint8Array(byteLength), new Uint8Array(byteLength)];
      await file.readInto(`base_model.model.${name}`, found, 0);
      await whole.readInto(name, right, 0);
      expect([name, Buffer.compare(found, right)]).toEqual([name, 0]);
    }
    expect([...file.tensors.keys()].filter((name) => /(classifier|pooler).*lora/.test(name))).toEqual([]);
  });
});
