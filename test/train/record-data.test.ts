/** Runs on records: what reaches the model, what is refused, and that a run goes on where it was. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ignoreIndex,
  prepareData,
  type Batch,
  type RecordDataOptions,
  type RunData,
} from '../../lib/data/index.js';
import type { BatchField } from '../../lib/graph/index.js';
import { llama } from '../../lib/models/index.js';
import { Trainer } from '../../lib/train/index.js';
import { contentOf, expectExactResume, train } from '../helpers/exact-resume.js';
import { makeFolder, tinyConfig, tinyMethod, tinyRun } from '../helpers/tiny-run.js';
import { startTrainerChild } from '../helpers/trainer-child.js';

const { folder, text } = makeFolder();
let numFiles = 0;
const newPath = (ending: string): string => join(folder, `${numFiles++}${ending}`);

function jsonl(rows: readonly object[]): string {
  const path = newPath('.jsonl');
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

/** Prompts and completions of many lengths; each record is told by its first letter. */
const letters = 'abcdefghijklmnopqrstuvwxyz';
const pairs = Array.from(letters, (letter, i) => ({
  prompt: letter + '?'.repeat(i % 5),
  completion: letter.toUpperCase().repeat(1 + ((i * 7) % 9)),
}));
const records = jsonl(pairs);
const sequenceLength = 16;

const open = async (
  data: Partial<RecordDataOptions> = {},
  options: { isHeldOut?: boolean; needsValidation?: boolean } = {},
): Promise<RunData> => {
  const given = { records, ...data };
  const prepared = await prepareData(given, { sequenceLength, vocabularySize: 257, seed: 3, ...options });
  return prepared.open();
};

/** Letters of the records of each sequence, in order. */
const lettersOf = (tokens: Batch['inputs'][string]): string[] =>
  Array.from({ length: tokens.length / sequenceLength }, (_, row) =>
    String.fromCharCode(
      ...tokens.subarray(row * sequenceLength, (row + 1) * sequenceLength).filter((id) => id < 256),
    ).replace(/[^a-z]/g, ''),
  );

describe.each([true, false])('files with weights, packing %s', (packing) => {
  const digits = jsonl(
    Array.from('0123456789', (digit) => ({ prompt: digit, completion: '-'.repeat(+digit) || '.' })),
  );
  const weighted = (weight: number) => ({
    records: [
      { path: records, weight: 2 },
      { path: digits, weight },
    ],
    ...{ packing, validationFraction: 0 },
  });
  /** First letters of the records of an epoch; of all of it, however many sequences it has. */
  async function* epochsOf(data: RunData): AsyncGenerator<string> {
    const total = 2 * letters.length + 5;
    let found = '';
    for (let position = 0; ; position++) {
      const { tokens } = (await data.trainBatch(position, 1)).inputs;
      found += String.fromCharCode(...tokens!.filter((id) => id < 256)).replace(/[^a-z0-9]/g, '');
      if (found.length < total) continue;
      expect(found).toHaveLength(total); // an epoch ends with a sequence
      yield found;
      found = '';
    }
  }
  const take = async (count: number): Promise<string[]> => {
    await using data = await open(weighted(0.5));
    const epochs: string[] = [];
    for await (const epoch of epochsOf(data)) if (epochs.push(epoch) === count) break;
    return epochs;
  };

  test('each record comes as often as its weight says, of a fraction another share in every epoch', async () => {
    const epochs = await take(6);
    for (const epoch of epochs) {
      expect(epoch.replace(/\d/g, '').split('').sort().join('')).toBe(letters.replace(/./g, '$&$&'));
      expect(new Set(epoch.replace(/\D/g, '')).size).toBe(5);
    }
    const shares = epochs.map((epoch) => epoch.replace(/\D/g, '').split('').sort().join(''));
    expect(new Set(shares).size).toBeGreaterThan(3);
    // Every record is drawn sooner or later.
    expect(new Set(shares.join('')).size).toBe(10);
  });

  test('what stands where is a function of the seed and the place', async () => {
    expect(await take(3)).toEqual(await take(3));
    await using data = await open(weighted(0.5));
    await using again = await open(weighted(0.5));
    const [first, later] = [await data.trainBatch(0, 80), await data.trainBatch(60, 7)];
    expect(await again.trainBatch(60, 7)).toEqual(later);
    expect(await again.trainBatch(0, 80)).toEqual(first);
  });

  test('weights of 1 are none, others are another order of the data', async () => {
    await using plain = await open({ records: [records, digits], packing, validationFraction: 0 });
    await using ones = await open({
      records: [{ path: records, weight: 1 }, { path: digits }],
      ...{ packing, validationFraction: 0 },
    });
    await using twice = await open(weighted(1));
    expect(ones.fingerprint).toBe(plain.fingerprint);
    expect(await ones.trainBatch(0, 40)).toEqual(await plain.trainBatch(0, 40));
    expect(twice.fingerprint).not.toBe(plain.fingerprint);
    expect(twice.numTokens).toBeGreaterThan(plain.numTokens);
  });

  test('a run goes on where it was, in another epoch, too', async () => {
    const run = tinyRun(text, { data: weighted(0.5), sequenceLength, batchSize: 16, maxSteps: 12 });
    await expectExactResume(run, () => newPath(''), [3, 8]);
  });
});

test.each<[string, RecordDataOptions['records'], object]>([
  ['a weight of 0', [{ path: records, weight: 0 }], { expected: expect.stringContaining('weights above 0') }],
  ['a weight that is no number', [{ path: records, weight: '2' as unknown as number }], {}],
  ['another key', [{ path: records, times: 2 } as { path: string }], {}],
  ['two weights of one file', [records, { path: records, weight: 2 }], { received: '1 and 2' }],
  ['no file', [], {}],
])('%s is refused', async (_, given, fields) => {
  await expect(open({ records: given })).rejects.toMatchObject({
    code: 'ERR_COMPACT_CONFIG_VALUE',
    ...fields,
  });
});

describe.each([true, false])('packing %s', (packing) => {
  test('an epoch holds every record that is not held out once, and another one in another order', async () => {
    await using data = await open({ packing, validationFraction: 0.2 });
    const { numTrainSequences: count, numValidationSequences } = data;
    const epochs = await Promise.all([0, 1].map((epoch) => data.trainBatch(epoch * count, count)));
    const [first, second] = epochs.map(({ inputs }) => lettersOf(inputs['tokens']!));
    const held = lettersOf((await data.validationBatch(0, numValidationSequences)).inputs['tokens']!);
    const sorted = (some: readonly string[]): string => some.join('').split('').sort().join('');
    expect(sorted(first!)).toBe(sorted(second!));
    expect(first).not.toEqual(second);
    expect(sorted([...first!, ...held])).toBe(letters);
    expect(held.join('')).toHaveLength(5);
    expect(first!.some((some) => some.length > 1)).toBe(packing);
    for (const { inputs, numCountedTokens } of epochs) {
      const counted = inputs['targets']!.filter((target) => target !== ignoreIndex).length;
      expect(counted).toBe(numCountedTokens);
      expect(counted).toBe(data.numCountedTokens(0, count));
      expect('positions' in inputs).toBe(packing);
    }
  });

  test('a batch is a function of its position, across epochs too', async () => {
    await using data = await open({ packing });
    const { numTrainSequences: count } = data;
    const whole = await data.trainBatch(count - 2, 4);
    const parts = await Promise.all([0, 1, 2, 3].map((i) => data.trainBatch(count - 2 + i, 1)));
    for (const [name, values] of Object.entries(whole.inputs))
      expect(Array.from(values)).toEqual(parts.flatMap(({ inputs }) => Array.from(inputs[name]!)));
    await using same = await open({ packing });
    expect(same.fingerprint).toBe(data.fingerprint);
    expect(await same.trainBatch(count - 2, 4)).toEqual(whole);
  });
});

test('only completions count, each with its end, and padding does not', async () => {
  await using data = await open({
    records: jsonl([{ prompt: 'ab', completion: 'CD' }]),
    validationFraction: 0,
  });
  const { inputs } = await data.trainBatch(0, 1);
  const [C, D, end, _] = [67, 68, 256, ignoreIndex];
  expect(Array.from(inputs['targets']!)).toEqual([_, C, D, end, ...Array(12).fill(_)]);
  expect(data.statistics).toMatchObject({ kind: 'completion', numRecords: 1, numCountedTokens: 3 });
});

describe('preference pairs', () => {
  const rows = pairs.slice(0, 8).map(({ prompt, completion }) => ({
    prompt,
    chosen: completion,
    rejected: completion.toLowerCase(),
  }));
  const batchFields: readonly BatchField[] = [
    { name: 'referenceLogProbabilities', dtype: 'f32', shape: ['batchSize'] },
  ];
  const openPairs = async (data: Partial<RecordDataOptions> = {}, seed = 3): Promise<RunData> => {
    const given = { records: jsonl(rows), validationFraction: 0.25, ...data };
    const prepared = await prepareData(given, { sequenceLength, vocabularySize: 257, seed }, batchFields);
    return prepared.open();
  };
  const textOf = (tokens: Batch['inputs'][string]): string =>
    String.fromCharCode(...tokens.filter((id) => id < 256));

  test('are two sequences, the better one first, of which the answers count and a pair once', async () => {
    await using data = await openPairs({ records: jsonl(rows.slice(0, 1)), validationFraction: 0 });
    const { inputs, numCountedTokens } = await data.trainBatch(0, 2);
    const { completion } = pairs[0]!;
    const [end, _] = [256, ignoreIndex];
    for (const [row, answer] of [completion, completion.toLowerCase()].entries()) {
      const sequence = inputs['tokens']!.subarray(row * sequenceLength, (row + 1) * sequenceLength);
      expect(textOf(sequence)).toBe(`a${answer}`);
      expect(
        Array.from(inputs['targets']!.subarray(row * sequenceLength, (row + 1) * sequenceLength)),
      ).toEqual([...Buffer.from(answer), end, ...Array<number>(sequenceLength - answer.length - 1).fill(_)]);
    }
    expect(Object.keys(inputs)).toEqual(['tokens', 'targets', 'referenceLogProbabilities']);
    expect(numCountedTokens).toBe(1);
    expect(data.numCountedTokens(0, 2)).toBe(1);
    expect(data.statistics).toMatchObject({
      kind: 'preference',
      numRecords: 1,
      numTokens: 6,
      numCountedTokens: 4,
    });
  });

  test('stay together in every epoch, and come with the log-probabilities that were told of them', async () => {
    await using data = await openPairs();
    const { numTrainSequences: count, numValidationSequences } = data;
    expect([count, numValidationSequences]).toEqual([12, 4]);
    const [answers] = data.answers!;
    // Each answer has its own text; its number is told as its log-probability.
    const { inputs: all } = await answers!.batch(0, 20);
    const texts = (tokens: Batch['inputs'][string]): string[] =>
      Array.from({ length: tokens.length / sequenceLength }, (_, i) =>
        textOf(tokens.subarray(i * sequenceLength, (i + 1) * sequenceLength)),
      );
    const known = texts(all['tokens']!);
    expect(answers!.reference).toHaveLength(16);
    expect(Array.from(all['referenceLogProbabilities']!)).toEqual([
      ...Array<number>(16).fill(0),
      ...Array<number>(4).fill(NaN),
    ]);
    answers!.reference.set(answers!.reference.map((_, i) => -i));
    const seen = new Set<string>();
    for (const start of [0, count]) {
      const { inputs } = await data.trainBatch(start, count);
      texts(inputs['tokens']!).forEach((sequence, i) => {
        const number = known.indexOf(sequence);
        expect([number % 2, inputs['referenceLogProbabilities']![i]]).toEqual([i % 2, -number]);
        if (i % 2 === 1) expect(known.indexOf(texts(inputs['tokens']!)[i - 1]!)).toBe(number - 1);
        seen.add(sequence);
      });
    }
    const held = await data.validationBatch(0, 4, 3); // one pair and a half: one pair
    expect(held.numCountedTokens).toBe(1);
    expect(Array.from(held.inputs['referenceLogProbabilities']!, Number.isNaN)).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect(
      texts(held.inputs['tokens']!)
        .slice(0, 2)
        .some((sequence) => seen.has(sequence)),
    ).toBe(false);
  });

  test('of files of their own are told apart, and other records refused', async () => {
    const validation = jsonl(rows.slice(0, 2));
    await using data = await openPairs({ validation });
    expect(data.answers!.map(({ name, reference }) => [name, reference.length])).toEqual([
      ['train', 16],
      ['validation', 4],
    ]);
    await expect(openPairs({ validation: records })).rejects.toMatchObject({
      code: 'ERR_COMPACT_DATA_RECORD',
      message: expect.stringContaining('is no preference pair'),
    });
    await expect(openPairs({ packing: true })).rejects.toMatchObject({ op: 'data.packing' });
    const long = jsonl([{ prompt: 'p'.repeat(16), chosen: 'a', rejected: 'b' }]);
    await expect(openPairs({ records: long })).rejects.toMatchObject({
      message: expect.stringContaining('longer than the context'),
    });
    await expect(openPairs({ records: long, truncate: true })).rejects.toMatchObject({
      message: expect.stringContaining('nothing to learn in `chosen`'),
    });
  });
});

const run = tinyRun(text, { data: { records, validationFraction: 0.2 }, model: llama(tinyConfig) });

test('the loss of a step is the mean over the tokens that count, however it is cut into micro-batches', async () => {
  const data = { records, validation: records } as const;
  const steps = async (batchSize: number, gradientAccumulationSteps: number) => {
    const sizes = { batchSize, gradientAccumulationSteps, maxSteps: 1 };
    await using trainer = await Trainer.create({ ...run, ...sizes, data });
    const evaluation = await trainer.evaluate();
    for await (const { loss, numTokens } of trainer) return { evaluation, loss, numTokens };
    throw new Error('no step');
  };
  await using opened = await open({ validation: records });
  const count = opened.numTrainSequences;
  const whole = await steps(count, 1);
  expect(whole.numTokens).toBe(opened.statistics!.numCountedTokens);
  expect(whole.evaluation.numTokens).toBe(whole.numTokens);
  // Sums of equal terms in another order: f32 rounding.
  expect(whole.loss).toBeCloseTo(whole.evaluation.loss, 5);
  expect((await steps(1, count)).loss).toBeCloseTo(whole.loss, 5);
});

describe('a resumed run equals an uninterrupted one to the bit', () => {
  test.each([true, false])('stopped, packing %s', async (packing) => {
    const data = { records, packing };
    await expectExactResume({ ...run, data, gradientAccumulationSteps: 2 }, () => newPath(''), [2, 5]);
  });

  test('killed', async () => {
    const options = { ...run, saveSteps: 2, maxSteps: 8 };
    const straight = await train({ ...options, outputDirectory: newPath('') });
    const outputDirectory = newPath('');
    const child = startTrainerChild(
      {
        ...{ data: run.data, batchSize: 2, sequenceLength: 16, learningRate: 0.01, threads: 1 },
        ...{ model: tinyConfig, method: tinyMethod, saveSteps: 2, maxSteps: 8, outputDirectory },
      },
      {
        setUp:
          "started = (trainer) => trainer.on('checkpoint', ({ step }) => step === 4 && process.kill(process.pid, 'SIGKILL'));",
      },
    );
    expect((await child.ended).exitCode).toBeNull();
    expect(readdirSync(outputDirectory)).toContain('checkpoint-4');
    const resumed = await train({ ...options, outputDirectory, resumeFromCheckpoint: 'latest' });
    expect(resumed.losses).toEqual(straight.losses.slice(4));
    expect(await contentOf(resumed.checkpoint)).toEqual(await contentOf(straight.checkpoint));
    // What the killed process had made of the records is gone, as what this one made of them.
    expect(readdirSync(join(outputDirectory, 'data'))).toEqual([]);
  });

  test('other records, or another packing, are refused', async () => {
    const outputDirectory = newPath('');
    await train({ ...run, outputDirectory }, 2);
    for (const data of [
      { records: jsonl(pairs.slice(1)), validationFraction: 0.2 },
      { records, validationFraction: 0.2, packing: false },
    ])
      await expect(
        Trainer.create({ ...run, data, outputDirectory, resumeFromCheckpoint: 'latest' }),
      ).rejects.toMatchObject({ code: 'ERR_COMPACT_CHECKPOINT_MISMATCH' });
  });
});

test.each<[string, object, object]>([
  [
    'a record beyond the sequence',
    { records: jsonl([...pairs, { prompt: 'long', completion: 'x'.repeat(20) }]) },
    { code: 'ERR_COMPACT_DATA_RECORD', message: expect.stringContaining('line 27') },
  ],
  [
    'an empty completion',
    { records: jsonl([{ prompt: 'a', completion: '' }]) },
    { code: 'ERR_COMPACT_DATA_RECORD', message: expect.stringContaining('empty completion') },
  ],
  [
    'labels where text is expected',
    { records: jsonl([{ text: 'good', label: 1 }]) },
    { code: 'ERR_COMPACT_DATA_RECORD', message: expect.stringContaining('label') },
  ],
  [
    'preference pairs',
    { records: jsonl([{ prompt: 'a', chosen: 'b', rejected: 'c' }]) },
    { code: 'ERR_COMPACT_DATA_RECORD', message: expect.stringContaining('preference pair') },
  ],
  [
    'records of which nothing is left to learn',
    { records: jsonl([{ prompt: 'p'.repeat(40), completion: 'c' }]), truncate: true },
    { code: 'ERR_COMPACT_DATA_EMPTY' },
  ],
  ['no records', { records: jsonl([]) }, { code: 'ERR_COMPACT_DATA_EMPTY' }],
  ['no file', { records: join(folder, 'none.jsonl') }, { code: 'ERR_COMPACT_DATA_READ' }],
  [
    'messages without a template',
    { records: jsonl([{ messages: [{ role: 'assistant', content: 'a' }] }]) },
    { code: 'ERR_COMPACT_CHAT_TEMPLATE' },
  ],
  [
    'text beside records',
    { records, train: text },
    { code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', op: 'data.train' },
  ],
])('%s is refused, and nothing is left behind', async (_, data, error) => {
  const outputDirectory = newPath('');
  await expect(
    Trainer.create({ ...run, data: data as RecordDataOptions, outputDirectory }),
  ).rejects.toMatchObject(error);
  expect(readdirSync(folder)).not.toContain(outputDirectory.slice(folder.length + 1));
});

test('a longer record loses its end when that is asked for, and it is told', async () => {
  const longer = jsonl([...pairs, { prompt: 'long', completion: 'x'.repeat(20) }]);
  await using trainer = await Trainer.create({ ...run, data: { records: longer, truncate: true } });
  expect(trainer.data.statistics).toMatchObject({ longest: sequenceLength, numTruncated: 1 });
  expect(trainer.data.warnings).toEqual([expect.stringMatching(/^1 of 27 records lost their end/)]);
});

test('one record cannot be held out of itself', async () => {
  const one = jsonl(pairs.slice(0, 1));
  await expect(Trainer.create({ ...run, data: { records: one }, evalSteps: 1 })).rejects.toMatchObject({
    code: 'ERR_COMPACT_DATA_TOO_SHORT',
  });
});
