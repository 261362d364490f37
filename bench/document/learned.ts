/** Which methods learn best: the generated part of docs/methods/README.md. */
import { compile } from '../../lib/compile/index.js';
import { methodFromDescription } from '../../lib/methods/index.js';
import { llama, llamaPresets, type LlamaConfig } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { listedContender } from '../../lib/cli/bench/quality/contenders.js';
import {
  bestResults,
  type QualityResult,
  type QualityRun,
} from '../../lib/cli/bench/quality/quality-sweep.js';
import { describeMethod } from '../../lib/cli/describe-method.js';
import { formatCount, formatDifference, formatGiB, formatSmall } from '../../lib/cli/format.js';
import { methodList, type ListedMethod } from '../../lib/cli/method-list.js';
import { plannedThreads } from '../../lib/cli/planned-threads.js';
import { markdownTable, notRun } from './tables.js';

/** A finished training, as `bench quality` writes it down. */
export interface QualityRow {
  readonly provider: string;
  readonly matrixRate: number;
  readonly otherRate?: number;
  readonly seed: number;
  readonly loss: number | null; // of a run that diverged
  readonly recipe: {
    readonly model: LlamaConfig;
    readonly batchSize: number;
    readonly sequenceLength: number;
    readonly maxSteps: number;
  };
}

/** A measured time, as `bench step-time` writes it down. */
export interface StepTimeRow {
  readonly provider: string;
  readonly shape: string;
  readonly dtype: string;
  readonly ofDense: number;
}

/** Of the times. */
const timed = { shape: 'llama-60m 4x256', hiddenSize: llamaPresets['llama-60m'].hiddenSize } as const;
/** Of the planned peaks: the micro-batch of `bench memory`. */
const planned = { model: 'llama-350m', batchSize: 128, sequenceLength: 256, dtype: 'bf16' } as const;

/** The table and what follows from it. `rows` are of one model, and the longest of them are the runs that count. */
export function learnedPart(rows: readonly QualityRow[], times: readonly StepTimeRow[]): string {
  const { model, batchSize, sequenceLength } = rows[0]!.recipe;
  const steps = Math.max(...rows.map(({ recipe }) => recipe.maxSteps));
  const rungs = [...new Set(rows.map(({ recipe }) => recipe.maxSteps))].filter((count) => count < steps);
  const seeds = [...new Set(rows.map(({ seed }) => seed))];
  const results = resultsOf(rows, steps, seeds);
  const dense = results.find(({ variant }) => variant === 'dense');
  if (dense === undefined) return notRun;
  const methods = methodList('all');
  const peak = peakOf(methods.find(({ word }) => word === 'dense')!);
  const ordered = methods.toSorted((a, b) => meanOf(results, a.word) - meanOf(results, b.word));
  const lines = ordered.map((method) => {
    const bytes = peakOf(method);
    return [
      method.word,
      ...lossCells(method.word, rows, results, dense),
      `${formatGiB(bytes)}, ${Math.round((100 * bytes) / peak)} %`,
      timeOf(method, times),
    ];
  });
  const tokens = (steps * batchSize * sequenceLength).toLocaleString('en');
  const heads = [
    'method',
    'rates: matrices, others',
    `held-out loss, mean of ${seeds.length} seeds`,
    'from - to',
    'of dense',
    'planned peak, of dense',
    'time of a step, of dense',
  ];
  return [
    `${formatCount(llama(model).numParameters)} parameters, ${steps} steps of ${batchSize} x ${sequenceLength} tokens ` +
      `(${tokens}), cells chosen by runs of ${rungs.join(', ')} steps with one seed. Marked *: a rate at the edge of what was ` +
      `tried, so a better one may lie beyond. Peaks: ${planned.model}, ${planned.batchSize} x ${planned.sequenceLength} tokens, ` +
      `${planned.dtype}, GiB. Times: 60M model, 4 x 256 tokens, f32, each beside dense steps of its own run, on one of two machines.`,
    markdownTable(heads, lines),
    verdicts(ordered, rows, results, dense),
  ].join('\n\n');
}

export function resultsOf(
  rows: readonly QualityRow[],
  steps: number,
  seeds: readonly number[],
): QualityResult[] {
  const runs = rows.map(({ provider, matrixRate, otherRate, seed, loss, recipe }): QualityRun => ({
    variant: provider,
    matrixRate,
    ...(otherRate === undefined ? {} : { otherRate }),
    seed,
    steps: recipe.maxSteps,
    loss: loss ?? Infinity,
  }));
  const variants = [...new Set(runs.map(({ variant }) => variant))];
  const contenders = variants.map((variant) => {
    const own = runs.filter((run) => run.variant === variant);
    return {
      variant,
      matrixRates: [...new Set(own.map(({ matrixRate }) => matrixRate))],
      otherRates: [...new Set(own.flatMap(({ otherRate }) => otherRate ?? []))],
    };
  });
  return bestResults({ contenders, steps, seeds }, runs);
}

/** Methods without a result come last. */
const meanOf = (results: readonly QualityResult[], word: string): number =>
  results.find(({ variant }) => variant === word)?.meanLoss ?? Number.MAX_VALUE;

function lossCells(
  word: string,
  rows: readonly QualityRow[],
  results: readonly QualityResult[],
  dense: QualityResult,
): readonly string[] {
  const result = results.find(({ variant }) => variant === word);
  if (result === undefined) return ['', withoutResult(word, rows), '', ''];
  const { matrixRate, otherRate, atEdgeOf, meanLoss, lowestLoss, highestLoss } = result;
  const mark = (axis: 'matrixRate' | 'otherRate'): string => (atEdgeOf.includes(axis) ? '*' : '');
  const others = otherRate === undefined ? 'frozen' : `${formatSmall(otherRate)}${mark('otherRate')}`;
  return [
    `${formatSmall(matrixRate)}${mark('matrixRate')}, ${others}`,
    meanLoss.toFixed(3),
    `${lowestLoss.toFixed(3)} - ${highestLoss.toFixed(3)}`,
    word === dense.variant ? '' : difference(result, dense),
  ];
}

function withoutResult(word: string, rows: readonly QualityRow[]): string {
  const own = rows.filter(({ provider }) => provider === word);
  if (own.length === 0) return notRun;
  return own.every(({ loss }) => loss === null) ? 'diverged at all rates' : 'not finished';
}

const difference = ({ meanLoss }: QualityResult, dense: QualityResult): string =>
  formatDifference(meanLoss / dense.meanLoss);

/** Kept by word: a plan takes a third of a second. */
const peaks = new Map<string, number>();

/** With the ranks that it was trained with: n/4 where its word says none. */
function peakOf(method: ListedMethod): number {
  const known = peaks.get(method.word);
  if (known !== undefined) return known;
  const model = llama(planned.model);
  const { hiddenSize } = model.describe() as { hiddenSize: number };
  const { options } = listedContender(method, hiddenSize);
  const target = cpuTarget({ threads: plannedThreads });
  const { peakBytes } = compile({
    ...planned,
    model,
    method: methodFromDescription(options),
    target,
    entries: ['train'],
  });
  peaks.set(method.word, peakBytes);
  return peakBytes;
}

/** With the ranks that it was trained with, of the width of the timed model. */
function timeOf(method: ListedMethod, times: readonly StepTimeRow[]): string {
  const { options } = listedContender(method, timed.hiddenSize);
  const name = method.word === 'dense' ? method.word : describeMethod(methodFromDescription(options));
  const found = times.findLast(
    ({ provider, dtype, shape }) => provider === name && dtype === 'f32' && shape === timed.shape,
  );
  return found === undefined ? 'not measured' : found.ofDense.toFixed(2);
}

/** Ranges of the seeds that do not overlap tell two methods apart here, and nothing less does. */
function verdicts(
  methods: readonly ListedMethod[],
  rows: readonly QualityRow[],
  results: readonly QualityResult[],
  dense: QualityResult,
): string {
  const others = methods.flatMap(({ word }) => results.find(({ variant }) => variant === word) ?? []);
  const words = (chosen: (result: QualityResult) => boolean): string =>
    others
      .filter((result) => result !== dense && chosen(result))
      .map((result) => `${result.variant} ${difference(result, dense)}`)
      .join(', ') || 'none';
  const isBetter = ({ highestLoss }: QualityResult): boolean => highestLoss < dense.lowestLoss;
  const isWorse = ({ lowestLoss }: QualityResult): boolean => lowestLoss > dense.highestLoss;
  const missing = methods
    .filter(({ word }) => !others.some(({ variant }) => variant === word))
    .map(({ word }) => `${word} (${withoutResult(word, rows)})`);
  return [
    `- **Lose against dense AdamW**, every seed above its worst: ${words(isWorse)}.`,
    `- Not told apart from it, ranges overlap: ${words((result) => !isBetter(result) && !isWorse(result))}.`,
    `- Learn more than it, every seed below its best: ${words(isBetter)}.`,
    ...(missing.length === 0 ? [] : [`- Without a result: ${missing.join(', ')}.`]),
  ].join('\n');
}
