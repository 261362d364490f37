/** docs/quality.md: what was tried, and which compositions reach the targets, follows from the ledger and from plans. */
import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { searchedPart, type SearchRow } from '../../bench/document/searched.js';
import { compile } from '../../lib/compile/index.js';
import { compact, dense } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { loadModel } from '../../lib/train/weights/load-model.js';
import { cpuTarget } from '../../lib/runtime/index.js';

const config = {
  vocabSize: 257,
  hiddenSize: 64,
  intermediateSize: 176,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
};
const size = { model: config, batchSize: 8, sequenceLength: 128, dtype: 'f32' } as const;

const row = (
  provider: string,
  seed: number,
  loss: number | null,
  more: Partial<SearchRow> = {},
): SearchRow => ({
  ...{ provider, seed, loss, matrixRate: 0.004, otherRate: 0.02 },
  recipe: { ...size, maxSteps: 300, method: { name: provider.split(':')[0]!, seed, ...optionsOf(provider) } },
  ...more,
});
const optionsOf = (provider: string): object =>
  provider.includes(':') ? { store: 'lazy', savedActivations: 'int8' } : {};
const short = (provider: string, loss: number | null): SearchRow => {
  const run = row(provider, 1, loss);
  return { ...run, recipe: { ...run.recipe, maxSteps: 100 } };
};
const seeds = (provider: string, losses: readonly (number | null)[]): SearchRow[] =>
  losses.map((loss, index) => row(provider, index + 1, loss));

const small = 'compact:store=lazy:savedActivations=int8';
const rows: readonly SearchRow[] = [
  ...seeds('dense', [2, 2.1, 1.9]),
  ...seeds('compact', [2.5, 2.6, 2.4]),
  ...seeds(small, [2.01, 2.02, 2]),
  ...[short('mesa', 2.7), short('mesa', 2.6), short('sgd-like', null)].map((run) => ({
    ...run,
    recipe: { ...run.recipe, method: { name: 'mesa' } },
  })),
];
const part = searchedPart(rows, []);
const cells = new Map(
  part
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.slice(2, -2).split(' | '))
    .map(([word, ...rest]) => [word, rest] as const),
);

const peak = (method: ReturnType<typeof dense>, recompute?: 'layer'): number =>
  compile({
    ...size, model: llama(config), method, recompute, target: cpuTarget({ threads: 2 }), entries: ['train'],
  }).peakBytes; // prettier-ignore

describe('the search', () => {
  test('has losses of all seeds beside dense, and peaks as shares of its plain one', () => {
    const plain = peak(dense());
    const method = compact({ store: 'lazy', savedActivations: 'int8' });
    const share = (bytes: number): string => `${Math.round((100 * bytes) / plain)} %`;
    expect(cells.get(`\`${small}\``)).toEqual([
      ...['0.004*, 0.02*', '2.010', '2.000 - 2.020', '+0.5 %'],
      ...[share(peak(method)), share(peak(method, 'layer')), 'not measured, not measured'],
    ]);
    expect(cells.get('`dense`')!.slice(1, 5)).toEqual(['2.000', '1.900 - 2.100', '', '100 %']);
  });

  test('has times that were measured for the same model, size and options', () => {
    const file = 'bench/models/llama-2m.json';
    const { architecture: _, ...described } = loadModel(join(__dirname, '../..', file)).describe();
    const model = described as unknown as LlamaConfig;
    const runs = rows.map((run) => ({ ...run, recipe: { ...run.recipe, model } }));
    const time = (provider: string, shape: string, ofDense: number) =>
      ({ provider, shape, dtype: 'f32', ofDense }) as const;
    const line = searchedPart(runs, [
      time('compact n/4, lazy, int8 copies', `${file} 8x128`, 1.25),
      time('compact n/4, lazy, int8 copies', `${file} 8x256`, 3),
      time('compact n/4, lazy, int8 copies, layer checkpointing', `${file} 8x128`, 1.5),
      time('compact n/4, lazy, int8 copies, layer checkpointing', 'bench/models/llama-10m.json 8x128', 4),
    ]).split('\n').find((one) => one.startsWith(`| \`${small}`)); // prettier-ignore
    expect(line).toMatch(/\| 1\.25, 1\.50 \|$/);
  });

  test('names what is small enough and learns as much, and nothing else', () => {
    const verdicts = part.split('\n').filter((line) => line.startsWith('- At most'));
    const isSmall = peak(compact({ store: 'lazy', savedActivations: 'int8' })) <= 0.55 * peak(dense());
    expect(verdicts[0]).toContain(`within 1 % of dense: ${isSmall ? `\`${small}\`` : 'none of these'}.`);
    expect(part).not.toContain('of dense: `compact`');
  });

  test('says what is not finished, and what never was finite', () => {
    expect(part).toContain(
      '- `mesa`: not finished; the best of its runs of 100 steps, with one seed, ends at 2.600.',
    );
    expect(part).toContain('- `sgd-like`: no run stayed finite.');
  });

  test('has a part for each size, the smallest model first', () => {
    const larger = rows.map((run) => ({
      ...run,
      recipe: { ...run.recipe, model: { ...config, hiddenSize: 128 } },
    }));
    const heads = searchedPart([...larger, ...rows], []).split('\n').filter((line) => line.startsWith('### ')); // prettier-ignore
    expect(heads).toEqual(['### 134k parameters', '### 333k parameters']);
    expect(searchedPart([], [])).toBe('not run');
  });
});
