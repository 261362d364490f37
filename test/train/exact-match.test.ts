/** Answers that a model writes itself: what is asked, what is compared, and a model that knows its answers by heart. */
import { describe, expect, test } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteTokenizer } from '../../lib/data/byte-tokenizer.js';
import { loadTokenizer } from '../../lib/data/index.js';
import { dense } from '../../lib/methods/index.js';
import type { RunOptions, RunResult } from '../../lib/runtime/index.js';
import { exactMatch } from '../../lib/train/evaluation/metrics/index.js';
import { answerEnds, readReferences } from '../../lib/train/evaluation/references.js';
import { evaluateModel, Trainer, type EvaluateOptions } from '../../lib/train/index.js';
import { chatFiles } from '../helpers/chat-fixtures.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
let numFiles = 0;

function jsonl(rows: readonly object[]): string {
  const path = join(folder, `${numFiles++}.jsonl`);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

describe('what is asked and what should come', () => {
  const textsOf = async (rows: readonly object[], tokenizer = 'bytes'): Promise<[string, string][]> => {
    const known = await loadTokenizer(tokenizer);
    const references = await readReferences({ records: jsonl(rows), tokenizer }, 200);
    return references.map(({ prompt, answer }) => [known.decode(prompt), known.decode(answer)]);
  };

  test('a prompt and its completion', async () => {
    const rows = [
      { prompt: '1 + 1 =', completion: ' 2' },
      { prompt: 'a', completion: 'bc' },
    ];
    expect(await textsOf(rows)).toEqual([
      ['1 + 1 =', ' 2'],
      ['a', 'bc'],
    ]);
  });

  test('a conversation up to its last answer, whose end ends what is written, too', async () => {
    const model = join(folder, 'chat');
    mkdirSync(model);
    for (const [name, content] of Object.entries(chatFiles('chatml')))
      writeFileSync(join(model, name), content);
    const messages = ['Hi!', 'Hello.', 'How much is 1 + 1?', 'Two.'].map((content, i) => ({
      role: i % 2 === 0 ? 'user' : 'assistant',
      content,
    }));
    const [[prompt, answer]] = (await textsOf([{ messages }], model)) as [[string, string]];
    expect(prompt).toMatch(/Hello\.[^]*How much is 1 \+ 1\?[^]*assistant\s*$/);
    expect(answer.trim()).toBe('Two.');
    const tokenizer = await loadTokenizer(model);
    const references = await readReferences({ records: jsonl([{ messages }]), tokenizer: model }, 200);
    expect(answerEnds(references, tokenizer).map((id) => tokenizer.controlText(id))).toEqual(['<|im_end|>']);
  });

  test('texts ask nothing', async () => {
    await expect(textsOf([{ text: 'all of it' }])).rejects.toMatchObject({
      ...{ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'metrics', received: 'records of the kind text' },
    });
  });
});

describe('what is compared', () => {
  const end = byteTokenizer.endOfTextId!;
  /** Writes the alphabet, and ends after e. */
  const engine = {
    run: async (entry: string, { inputs }: RunOptions = {}): Promise<RunResult> => {
      if (entry === 'prefill') return { outputs: {}, durationMs: 0 };
      const tokens = inputs!['tokens'] as Int32Array;
      const logits = new Float32Array(2 * byteTokenizer.vocabularySize);
      tokens.forEach((token, row) => {
        const next = token === 'e'.charCodeAt(0) ? end : token + 1;
        logits[row * byteTokenizer.vocabularySize + next] = 1;
      });
      return { outputs: { logits }, durationMs: 0 };
    },
  };
  const plan = {
    entries: { generate: { inputs: [0] }, prefill: { inputs: [1] } },
    values: [{ shape: [2] }, { shape: [8] }],
  } as never;
  const matched = (
    pairs: readonly (readonly [prompt: string, answer: string])[],
    { contextLength = 16, answerAfter }: { contextLength?: number; answerAfter?: string } = {},
  ): Promise<number> =>
    exactMatch(
      { engine, plan, tokenizer: byteTokenizer, contextLength, endIds: new Set([end]) },
      pairs.map(([prompt, answer]) => ({
        prompt: [...Buffer.from(prompt)],
        answer: [...Buffer.from(answer), end],
      })),
      { answerAfter },
    );

  test.each<[string, [string, string][], object, number]>([
    [
      'the whole answer',
      [
        ['ab', 'cde'],
        ['a', 'bcd'],
        ['abcd', 'e'],
      ],
      {},
      2 / 3,
    ],
    [
      'without white space around it',
      [
        ['ab', '  cde\n'],
        ['a', 'bc de'],
      ],
      {},
      1 / 2,
    ],
    [
      'what follows the last mark',
      [
        ['a', 'xdyd e '],
        ['a', 'bcde'],
        ['a', 'bcd'],
      ],
      { answerAfter: 'd' },
      2 / 3,
    ],
    [
      'nothing without a mark',
      [
        ['d', 'e'],
        ['a', 'bcde'],
      ],
      { answerAfter: 'c' },
      1 / 2,
    ],
    [
      'what the context has room for',
      [
        ['ab', 'cd'],
        ['a', 'bcde'],
      ],
      { contextLength: 4 },
      1 / 2,
    ],
    [
      'nothing behind a prompt that fills the context',
      [
        ['abcd', 'e'],
        ['ab', 'cd'],
      ],
      { contextLength: 4 },
      1 / 2,
    ],
  ])('%s', async (_, pairs, options, expected) => {
    expect(await matched(pairs, options)).toBeCloseTo(expected, 12);
  });
});

test('a model that knows its answers by heart gives them, and no others', async () => {
  const pairs = ['red', 'green', 'blue', 'grey', 'pink'].map((colour, i) => ({
    prompt: `${'?'.repeat(i)}${i}:`,
    completion: ` so it is #### ${colour}`,
  }));
  const outputDirectory = join(folder, 'by-heart');
  const sizes = {
    sequenceLength: 32,
    batchSize: 5,
    maxSteps: 150,
    learningRate: 0.01,
    lrSchedulerType: 'constant',
  } as const;
  const data = { records: jsonl(pairs), validationFraction: 0, packing: false };
  await using trainer = await Trainer.create(
    tinyRun(text, { ...sizes, data, outputDirectory, method: dense() }),
  );
  await trainer.run();
  const evaluate = (records: string, change: Partial<EvaluateOptions> = {}) =>
    evaluateModel({
      model: outputDirectory,
      data: records,
      metrics: ['exactMatch'],
      threads: 1,
      device: 'cpu',
      ...change,
    });
  const known = jsonl(pairs);
  expect(await evaluate(known)).toMatchObject({ metrics: { exactMatch: 1 }, numRecords: 5 });
  const both = await evaluate(known, { metrics: ['accuracy', 'exactMatch'], batchSize: 2 });
  expect(both.metrics).toEqual({ accuracy: expect.any(Number), exactMatch: 1 });
  expect(both.loss).toBeCloseTo((await evaluate(known, { metrics: [] })).loss, 5);
  // Other words, the same colour; the same words, another colour.
  const others = jsonl(
    pairs.map((pair, i) => ({
      ...pair,
      completion:
        i < 2 ? pair.completion.replace('so', 'thus') : i < 3 ? ' so it is #### red' : pair.completion,
    })),
  );
  expect((await evaluate(others)).metrics!['exactMatch']).toBeCloseTo(2 / 5, 12);
  expect((await evaluate(others, { answerAfter: '####' })).metrics!['exactMatch']).toBeCloseTo(4 / 5, 12);
  expect(await evaluate(others, { evalSequences: 2 })).toMatchObject({
    metrics: { exactMatch: 0 },
    numRecords: 2,
  });
  expect((await evaluate(others, { answerAfter: 'thus' })).warnings).toEqual([
    '3 of 5 answers hold no thus, and count as wrong whatever is written.',
  ]);
  await expect(evaluate(text)).rejects.toMatchObject({ op: 'metrics', received: 'running text' });
  await expect(evaluate(known, { metrics: [], answerAfter: '####' })).rejects.toMatchObject({
    ...{ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'answerAfter' },
  });
});
