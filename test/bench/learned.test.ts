/** docs/methods/README.md: which methods learn best follows from the ledger, and from nothing else. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { methodDocuments } from '../../bench/document/files.js';
import { learnedPart, type QualityRow, type StepTimeRow } from '../../bench/document/learned.js';
import { llamaPresets } from '../../lib/models/index.js';

const root = join(__dirname, '..', '..');

test('the page has what the ledgers give', () => {
  for (const [name, contents] of Object.entries(methodDocuments()))
    expect(readFileSync(join(root, name), 'utf8') === contents ? name : `stale: ${name}`).toBe(name);
});

const row = (provider: string, seed: number, loss: number | null, more: Partial<QualityRow> = {}) => ({
  ...{ provider, seed, loss, matrixRate: 0.004, otherRate: 0.02 },
  recipe: { model: llamaPresets['llama-demo'], batchSize: 8, sequenceLength: 64, maxSteps: 300 },
  ...more,
});
const short = (provider: string, matrixRate: number, otherRate: number | undefined, loss: number | null) => {
  const run = row(provider, 1, loss, { matrixRate, otherRate });
  return { ...run, recipe: { ...run.recipe, maxSteps: 100 } };
};
const seeds = (provider: string, losses: readonly (number | null)[], more: Partial<QualityRow> = {}) =>
  losses.map((loss, index) => row(provider, index + 1, loss, more));

describe('the table', () => {
  const around = ['dense', 'mesa', 'lomo', 'galore'].flatMap((name) =>
    [0.001, 0.016].flatMap((matrixRate) => [0.005, 0.08].map((other) => short(name, matrixRate, other, 1.5))),
  );
  const rows: QualityRow[] = [
    ...around, // of no length that counts
    ...seeds('dense', [2.1, 2, 1.9]),
    ...seeds('dense', [2.05, 2.15, 2.1], { matrixRate: 0.001 }),
    ...seeds('galore', [1.8, 1.85, 1.75]),
    ...seeds('mesa', [2.2, 2.1, 1.85]),
    ...seeds('lora', [5, 5.1, 5.2], { matrixRate: 0.064, otherRate: undefined }),
    ...seeds('lomo', [2.2, null, 2.3]),
    ...seeds('lomo', [2.4, 2.5, 2.6], { otherRate: 0.005 }),
    ...seeds('qlora', [null], { otherRate: undefined }),
    ...seeds('relora', [3]),
  ];
  const times: StepTimeRow[] = [
    { provider: 'dense', shape: 'llama-60m 4x256', dtype: 'f32', ofDense: 1 },
    { provider: 'galore n/4', shape: 'llama-60m 4x256', dtype: 'f32', ofDense: 2 },
    { provider: 'galore n/4', shape: 'llama-60m 4x256', dtype: 'f32', ofDense: 1.25 },
    { provider: 'galore n/4', shape: 'llama-60m 4x256', dtype: 'bf16', ofDense: 3 },
    { provider: 'galore n/4', shape: 'llama-60m 32x256', dtype: 'f32', ofDense: 4 },
    { provider: 'lora', shape: 'llama-60m 4x256', dtype: 'f32', ofDense: 0.5 }, // of rank 8
  ];
  const part = learnedPart(rows, times);
  const cells = new Map(
    part
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.slice(2, -2).split(' | '))
      .map(([word, ...rest]) => [word, rest] as const),
  );

  test('has the cell with the lowest mean of all seeds of whole runs, and marks edges', () => {
    expect(cells.get('dense')!.slice(0, 4)).toEqual(['0.004, 0.02', '2.000', '1.900 - 2.100', '']);
    expect(cells.get('galore')!.slice(0, 4)).toEqual(['0.004, 0.02', '1.800', '1.750 - 1.850', '-10.0 %']);
    expect(cells.get('lora')!.slice(0, 4)).toEqual(['0.064*, frozen', '5.100', '5.000 - 5.200', '+155.0 %']);
    // One seed of the other cell diverged.
    expect(cells.get('lomo')!.slice(0, 2)).toEqual(['0.004, 0.005*', '2.500']);
  });

  test('says what has no result and why', () => {
    expect(cells.get('qlora')![1]).toBe('diverged at all rates');
    expect(cells.get('relora')![1]).toBe('not finished');
    expect(cells.get('dense+muon')![1]).toBe('not run');
  });

  test('has planned peaks, and times that were measured for the same options', () => {
    expect(cells.get('dense')!.slice(4)).toEqual(['27.94, 100 %', '1.00']);
    expect(cells.get('galore')![5]).toBe('1.25');
    expect(cells.get('lora')![5]).toBe('not measured');
    expect(cells.get('mesa')![5]).toBe('not measured');
  });

  test('is in the order of losses, and tells methods apart by all of their seeds', () => {
    expect([...cells.keys()].slice(1, 6)).toEqual(['galore', 'dense', 'mesa', 'lomo', 'lora']);
    expect(part).toContain('above its worst: lomo +25.0 %, lora +155.0 %.');
    expect(part).toContain('ranges overlap: mesa +2.5 %.');
    expect(part).toContain('below its best: galore -10.0 %.');
    expect(part).toMatch(/Without a result: .*qlora \(diverged at all rates\)/);
  });
});
