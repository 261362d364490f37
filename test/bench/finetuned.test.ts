/** docs/recipes.md: what fine-tuning came to follows from the ledger, and from nothing else. */
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FinetuneRow } from '../../bench/commands/finetune.js';
import { recipeDocuments } from '../../bench/document/files.js';
import { finetunedPart } from '../../bench/document/finetuned.js';
import type { Sweep } from '../../bench/finetune/sweep.js';

const root = join(__dirname, '..', '..');

test('the page has what the ledger gives', () => {
  for (const [name, contents] of Object.entries(recipeDocuments()))
    expect(readFileSync(join(root, name), 'utf8') === contents ? name : `stale: ${name}`).toBe(name);
});

const options = { batchSize: 8 };
const learningRates = [0.1, 0.2, 0.3, 0.4, 1, 2];
const sweepOf = (...names: readonly string[]): Sweep => ({
  ...{ case: 'letters', model: 'encoder', seeds: [1, 2], options },
  contenders: Object.fromEntries(names.map((name) => [name, { method: {}, learningRates }])),
});
const row = (contender: string, learningRate: number, seed: number, change: object): FinetuneRow =>
  ({
    ...{ contender, learningRate, seed, metric: 'test accuracy', unit: 'share', steps: 10, shape: '8x32' },
    ...{ dtype: 'f32', device: 'a processor', threads: 1, dataWaitShare: 0.004 },
    ...{ plannedBytes: 2 ** 21, recomputedBytes: 2 ** 20, cpuMsPerStep: { p20: 1, p50: 2.4, p80: 3 } },
    evaluations: [],
    recipe: { options: { ...options, learningRate, seed, method: {} } },
    ...change,
  }) as unknown as FinetuneRow;
const accuracies = (heldOut: number, test: number) => ({
  heldOut: { loss: 1, accuracy: heldOut },
  test: { loss: 1, accuracy: test },
});
const cellsOf = (part: string): string[][] =>
  part
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '));

test('each method at the rate that did best on what was held out, over all of its seeds', () => {
  const rows = [
    row('full', 0.1, 1, accuracies(0.5, 0.99)),
    row('full', 0.2, 1, accuracies(0.7, 0.8)),
    row('full', 0.4, 1, accuracies(0.6, 0.7)),
    row('full', 0.2, 2, accuracies(0.1, 0.7)),
    row('compact r=8', 1, 1, { ...accuracies(0.7, 0.72), plannedBytes: 2 ** 20 }),
    row('compact r=8', 2, 1, accuracies(0.6, 0.5)),
    row('compact r=8', 1, 2, { ...accuracies(0.7, 0.74), plannedBytes: 2 ** 20 }),
    row('lora r=8', 1, 1, { heldOut: undefined, test: undefined }),
    row('full', 0.3, 1, { ...accuracies(1, 1), recipe: { options: { batchSize: 16 } } }), // of another sweep
    row('full', 0.8, 1, accuracies(1, 1)), // of another grid
  ];
  const part = finetunedPart(rows.toReversed(), sweepOf('full', 'compact r=8', 'lora r=8'));
  const [heads, ...lines] = cellsOf(part);
  expect(heads!.slice(2, 6)).toEqual(['test accuracy, mean', 'from - to', 'seeds', 'of full']);
  expect(lines).toEqual([
    [
      'full',
      '0.2, of 0.1, 0.2, 0.4',
      '75.0 %',
      '70.0 % - 80.0 %',
      '2',
      '',
      '2.00 MiB',
      '1.00 MiB',
      '2 ms',
      '0.4 %',
    ],
    [
      ...['compact r=8', '1*, of 1, 2', '73.0 %', '72.0 % - 74.0 %', '2', '-2.0 points', '1.00 MiB, 50 %'],
      ...['1.00 MiB, 100 %', '2 ms', '0.4 %'],
    ],
    ['lora r=8', '1*, of 1', 'diverged', '', '1', '', '2.00 MiB, 100 %', '1.00 MiB, 100 %', '2 ms', '0.4 %'],
  ]);
});

test('losses are compared as ratios, with the curve of what was held out', () => {
  const losses = (first: number, last: number) => ({
    ...{ metric: 'held-out loss', unit: 'nats', heldOut: { loss: last } },
    evaluations: [
      { step: 5, loss: first },
      { step: 10, loss: last },
    ],
  });
  const part = finetunedPart(
    [row('full', 0.1, 1, losses(3, 2)), row('qlora r=8', 0.1, 1, losses(3.5, 2.5))],
    sweepOf('full', 'qlora r=8'),
  );
  const [heads, full, qlora, steps, ...curves] = cellsOf(part);
  expect(heads).not.toContain('from - to');
  expect(full!.slice(2, 4)).toEqual(['2.000', '']);
  expect(qlora!.slice(2, 4)).toEqual(['2.500', '+25.0 %']);
  expect(steps).toEqual(['method', 'step 5', 'step 10']);
  expect(curves).toEqual([
    ['full', '3.000', '2.000'],
    ['qlora r=8', '3.500', '2.500'],
  ]);
});

test('a sweep that has not run says so', () => {
  expect(finetunedPart([], sweepOf('full'))).toBe('not run');
});
