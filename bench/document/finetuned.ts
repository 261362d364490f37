/** What fine-tuning came to: the generated parts of docs/recipes.md. */
import { isDeepStrictEqual } from 'node:util';
import { formatBytes, formatPercent, formatSmall } from '../../lib/cli/format.js';
import type { FinetuneRow } from '../commands/finetune.js';
import { valueOf } from '../finetune/measured-run.js';
import { resultsOf, type Sweep, type SweepResult } from '../finetune/sweep.js';
import { markdownTable, notRun } from './tables.js';

type Result = SweepResult<FinetuneRow>;

/** Tables of the finished runs of a sweep, the first contender the one that others are compared with. */
export function finetunedPart(all: readonly FinetuneRow[], sweep: Sweep): string {
  const rows = rowsOf(all, sweep);
  if (rows.length === 0) return notRun;
  const results = resultsOf(rows);
  const first = results[0]!;
  const { metric, shape, steps, dtype, device, threads } = first.runs[0]! as FinetuneRow & {
    readonly device: string;
    readonly threads: number;
  };
  const hasSeeds = rows.some(({ seed }) => seed !== first.runs[0]!.seed);
  const lines = results.map((result) => line(result, first, rows, hasSeeds));
  const heads = [
    'method',
    'rate, of those tried',
    ...(hasSeeds ? [`${metric}, mean`, 'from - to', 'seeds'] : [metric]),
    `of ${first.contender}`,
    'planned peak',
    'with `recompute: cheap`',
    'processor time of a step',
    'waiting for data',
  ];
  const hasCurve = first.runs[0]!.evaluations.length > 1;
  return [
    `${steps} steps of ${shape.replace('x', ' x ')} tokens in ${dtype}, ${threads} thread of ${device}. Marked *: the lowest or ` +
      'highest rate that was tried, so a better one may lie beyond.',
    markdownTable(heads, lines),
    ...(hasCurve ? ['Held-out loss on the way:', curves(results)] : []),
  ].join('\n\n');
}

/** Those of the sweep as it is now, in its order, rates from low to high, whatever order they came in. */
function rowsOf(all: readonly FinetuneRow[], { options, contenders, seeds }: Sweep): FinetuneRow[] {
  const own = all.filter(({ recipe }) => {
    const { method: _, learningRate: __, seed: ___, ...common } = recipe['options'] as Sweep['options'];
    return isDeepStrictEqual(common, options);
  });
  return Object.keys(contenders).flatMap((name) =>
    seeds.flatMap((seed) =>
      own
        .filter((row) => row.contender === name && row.seed === seed)
        .filter((row) => contenders[name]!.learningRates.includes(row.learningRate))
        .toSorted((a, b) => a.learningRate - b.learningRate),
    ),
  );
}

function line(
  { contender, learningRate, runs, isAtEdge }: Result,
  first: Result,
  rows: readonly FinetuneRow[],
  hasSeeds: boolean,
): string[] {
  const [run] = runs as readonly [FinetuneRow, ...FinetuneRow[]];
  const tried = rows.filter((row) => row.contender === contender && row.seed === run.seed);
  const others = tried.map((row) => formatSmall(row.learningRate)).join(', ');
  const isFirst = contender === first.contender;
  const firstRun = first.runs[0]!;
  const peak = (bytes: number, ofFirst: number): string =>
    `${formatBytes(bytes)}${isFirst ? '' : `, ${Math.round((100 * bytes) / ofFirst)} %`}`;
  const values = runs.map(valueOf);
  const hasAll = !values.includes(undefined);
  const isShare = run.unit === 'share';
  const shown = (value: number): string => (isShare ? formatPercent(value) : value.toFixed(3));
  const own = values as number[];
  return [
    contender,
    `${formatSmall(learningRate)}${isAtEdge ? '*' : ''}, of ${others}`,
    hasAll ? shown(mean(own)) : 'diverged',
    ...(hasSeeds
      ? [hasAll ? `${shown(Math.min(...own))} - ${shown(Math.max(...own))}` : '', String(runs.length)]
      : []),
    isFirst || !hasAll ? '' : difference(mean(own), mean(first.runs.map(valueOf) as number[]), isShare),
    peak(run.plannedBytes, firstRun.plannedBytes),
    peak(run.recomputedBytes, firstRun.recomputedBytes),
    `${Math.round(run.cpuMsPerStep.p50)} ms`,
    formatPercent(run.dataWaitShare),
  ];
}

/** Of shares in points, of losses as a ratio. */
function difference(value: number, reference: number, isShare: boolean): string {
  const change = isShare ? 100 * (value - reference) : 100 * (value / reference - 1);
  return `${change >= 0 ? '+' : '-'}${Math.abs(change).toFixed(1)} ${isShare ? 'points' : '%'}`;
}

function curves(results: readonly Result[]): string {
  const steps = results[0]!.runs[0]!.evaluations.map(({ step }) => step);
  return markdownTable(
    ['method', ...steps.map((step) => `step ${step}`)],
    results.map(({ contender, runs }) => [
      contender,
      ...steps.map((step) => runs[0]!.evaluations.find((one) => one.step === step)?.loss.toFixed(3) ?? ''),
    ]),
  );
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
