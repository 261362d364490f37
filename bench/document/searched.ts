/** Which compositions were tried on larger models, and what they came to: the generated part of docs/quality.md. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { compile, type RecomputePolicy } from '../../lib/compile/index.js';
import { formatCount, formatDifference, formatSmall } from '../../lib/cli/format.js';
import { describeMethod } from '../../lib/cli/describe-method.js';
import { packageDirectory } from '../../lib/cli/package-info.js';
import type { QualityResult } from '../../lib/cli/bench/quality/quality-sweep.js';
import { plannedThreads } from '../../lib/cli/planned-threads.js';
import { methodFromDescription } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { loadModel } from '../../lib/train/weights/load-model.js';
import { resultsOf, type QualityRow, type StepTimeRow } from './learned.js';
import { markdownTable, notRun } from './tables.js';

/** A finished training of a sweep, with what plans need to know of it. */
export type SearchRow = Omit<QualityRow, 'recipe'> & {
  readonly recipe: QualityRow['recipe'] & {
    readonly dtype: 'f32' | 'bf16';
    readonly method: Readonly<Record<string, unknown>>;
  };
};

const baseline = 'dense';

/** What a composition has to reach: a share of the plain peak of dense training, at a loss that is as good. */
const targets = [
  { recompute: 'none', share: 0.55, words: 'without recompute' },
  { recompute: 'layer', share: 0.3, words: 'with layer checkpointing' },
] as const;
const mostAbove = 1.01;

/** A table for each model and size of step, the smallest model first; times are of steps of that size. */
export function searchedPart(rows: readonly SearchRow[], times: readonly StepTimeRow[]): string {
  if (rows.length === 0) return notRun;
  const sizes = rows.map(sizeOf);
  const groups = sizes.filter(
    (size, index) => sizes.findIndex((other) => isDeepStrictEqual(other, size)) === index,
  );
  return groups
    .toSorted((a, b) => llama(a.model).numParameters - llama(b.model).numParameters)
    .map((size) =>
      groupPart(
        rows.filter((row) => isDeepStrictEqual(sizeOf(row), size)),
        times,
      ),
    )
    .join('\n\n');
}

const sizeOf = ({ recipe: { model, batchSize, sequenceLength, dtype } }: SearchRow) => ({
  model,
  batchSize,
  sequenceLength,
  dtype,
});

function groupPart(rows: readonly SearchRow[], times: readonly StepTimeRow[]): string {
  const { model, batchSize, sequenceLength, dtype } = sizeOf(rows[0]!);
  const steps = Math.max(...rows.map(({ recipe }) => recipe.maxSteps));
  const whole = rows.filter(({ recipe }) => recipe.maxSteps === steps);
  const rungs = [...new Set(rows.map(({ recipe }) => recipe.maxSteps))].filter((count) => count < steps);
  const seeds = [...new Set(whole.map(({ seed }) => seed))];
  const results = resultsOf(rows, steps, seeds).toSorted((a, b) => a.meanLoss - b.meanLoss);
  const dense = results.find(({ variant }) => variant === baseline);
  const plain = peakOf(
    rows.find(({ provider }) => provider === baseline)!,
    'none',
  );
  const rowOf = (variant: string): SearchRow => rows.find(({ provider }) => provider === variant)!;
  const shares = (variant: string): readonly number[] =>
    targets.map(({ recompute }) => peakOf(rowOf(variant), recompute) / plain);
  const lines = results.map((result) => [
    `\`${result.variant}\``,
    `${formatSmall(result.matrixRate)}${edge(result, 'matrixRate')}, ${result.otherRate === undefined ? 'frozen' : `${formatSmall(result.otherRate)}${edge(result, 'otherRate')}`}`,
    result.meanLoss.toFixed(3),
    `${result.lowestLoss.toFixed(3)} - ${result.highestLoss.toFixed(3)}`,
    dense === undefined || result === dense ? '' : formatDifference(result.meanLoss / dense.meanLoss),
    ...shares(result.variant).map((share) => `${Math.round(100 * share)} %`),
    targets.map(({ recompute }) => timeOf(rowOf(result.variant), recompute, times)).join(', '),
  ]);
  const tokens = (steps * batchSize * sequenceLength).toLocaleString('en');
  const heads = ['composition', 'rates: matrices, others', `held-out loss, mean of ${seeds.length} seeds`, 'from - to', 'of dense',
    'peak, of plain dense', 'with layer checkpointing', 'time of a step, of dense']; // prettier-ignore
  return [
    `### ${formatCount(llama(model).numParameters)} parameters`,
    `${steps} steps of ${batchSize} x ${sequenceLength} tokens (${tokens}), ${dtype}; cells chosen by runs of ${rungs.join(' and ')} steps with ` +
      `one seed; ${rows.length} trainings in all. Plain dense training holds ${(plain / 2 ** 20).toFixed(0)} MiB.`,
    results.length === 0 ? notRun : markdownTable(heads, lines),
    [
      ...targets.map((target, index) =>
        verdict(target, results, dense, (variant) => shares(variant)[index]!),
      ),
      ...unfinished(rows, results),
    ].join('\n'),
  ].join('\n\n');
}

const edge = ({ atEdgeOf }: QualityResult, axis: 'matrixRate' | 'otherRate'): string =>
  atEdgeOf.includes(axis) ? '*' : '';

function verdict(
  { share, words }: (typeof targets)[number],
  results: readonly QualityResult[],
  dense: QualityResult | undefined,
  shareOf: (variant: string) => number,
): string {
  const what = `- At most ${share} of the plain peak ${words}, within 1 % of dense`;
  if (dense === undefined) return `${what}: dense has no result yet.`;
  const reached = results.filter(
    ({ variant, meanLoss }) => shareOf(variant) <= share && meanLoss <= mostAbove * dense.meanLoss,
  );
  return `${what}: ${reached.map(({ variant }) => `\`${variant}\``).join(', ') || 'none of these'}.`;
}

/** Compositions of which no cell trained whole with every seed, with the best that is known of each. */
function unfinished(rows: readonly SearchRow[], results: readonly QualityResult[]): readonly string[] {
  const names = [...new Set(rows.map(({ provider }) => provider))].filter(
    (name) => !results.some(({ variant }) => variant === name),
  );
  return names.map((name) => {
    const own = rows.filter(({ provider, loss }) => provider === name && loss !== null);
    const longest = Math.max(...own.map(({ recipe }) => recipe.maxSteps));
    const best = Math.min(
      ...own.filter(({ recipe }) => recipe.maxSteps === longest).map(({ loss }) => loss!),
    );
    return own.length === 0
      ? `- \`${name}\`: no run stayed finite.`
      : `- \`${name}\`: not finished; the best of its runs of ${longest} steps, with one seed, ends at ${best.toFixed(3)}.`;
  });
}

/** Beside plain dense steps of the same size, from one run for each composition. */
function timeOf(row: SearchRow, recompute: RecomputePolicy, times: readonly StepTimeRow[]): string {
  const { model, batchSize, sequenceLength, dtype, method } = row.recipe;
  const { seed: _, ...description } = method;
  const name =
    row.provider === baseline && recompute === 'none'
      ? baseline
      : describeMethod(methodFromDescription(description), recompute);
  const found = times.findLast(
    ({ provider, shape, ...time }) =>
      provider === name &&
      time.dtype === dtype &&
      shape.endsWith(` ${batchSize}x${sequenceLength}`) &&
      isOfModel(shape, model),
  );
  return found === undefined ? 'not measured' : found.ofDense.toFixed(2);
}

/** Rows of times name the file of a model. */
const isOfModel = (shape: string, model: LlamaConfig): boolean => {
  const file = join(packageDirectory, shape.split(' ')[0]!);
  return existsSync(file) && isDeepStrictEqual(loadModel(file).describe(), llama(model).describe());
};

/** Kept by plan: each takes a third of a second. */
const peaks = new Map<string, number>();

function peakOf(row: SearchRow, recompute: RecomputePolicy): number {
  const { model, batchSize, sequenceLength, dtype, method } = row.recipe;
  const { seed: _, ...description } = method;
  const key = JSON.stringify([sizeOf(row), description, recompute]);
  const known = peaks.get(key);
  if (known !== undefined) return known;
  const { peakBytes } = compile({
    ...{ batchSize, sequenceLength, dtype, recompute },
    model: llama(model),
    method: methodFromDescription(description),
    target: cpuTarget({ threads: plannedThreads }),
    entries: ['train'],
  });
  peaks.set(key, peakBytes);
  return peakBytes;
}
