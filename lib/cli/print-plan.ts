import type { CompileOptions } from '../compile/index.js';
import { compactError, type CompactError } from '../errors.js';
import type { HeldBytes, MemoryReport, Remedy } from '../memory/index.js';
import { formatBytes, formatCount, formatPercent } from './format.js';
import { renderTable, type Column } from './table.js';
import type { Terminal } from './terminal.js';

/** What `compact-train plan` was asked about. */
export interface PlanSubject {
  readonly options: CompileOptions;
  /** Whether a method was named, rather than all compared. */
  readonly hasMethod: boolean;
  readonly threads: number;
  readonly memoryLimitBytes: number | undefined;
}

/** A way of training and its plan. */
export interface ComparedPlan {
  readonly name: string;
  readonly options: CompileOptions;
  readonly report: MemoryReport;
}

const right = (title: string): Column => ({ title, align: 'right' });

/** The peak of one plan and what stands at it. */
export function printPlan(terminal: Terminal, subject: PlanSubject, { name, report }: ComparedPlan): void {
  terminal.prose(`${terminal.style('bold', `${subject.options.model.name}, ${name}`)}: ${sizeOf(subject)}`);
  terminal.line();
  const peak = terminal.style('bold', formatBytes(report.peakBytes));
  terminal.prose(`${peak}  (${report.peakBytes.toLocaleString('en')} bytes)`, '  peak  ');
  const overhead = formatPercent(report.arenaBytes / report.arenaLowerBoundBytes - 1);
  terminal.prose(
    `persistent ${formatBytes(report.persistentBytes)}, arena ${formatBytes(report.arenaBytes)} ` +
      `(${overhead} over its lower bound)`,
    '  ',
  );
  terminal.line();
  const kinds = Object.entries(report.byKind)
    .filter(([, bytes]) => bytes > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([kind, bytes]) => [kind, formatBytes(bytes), formatPercent(bytes / report.peakBytes)]);
  terminal.line(renderTable([{ title: 'at the peak' }, right('bytes'), right('share')], kinds));
  terminal.line();
  const largest = sumOverLayers(report.atPeak)
    .slice(0, 8)
    .map(({ name: value, kind, bytes, count }) => [value, kind, String(count), formatBytes(bytes)]);
  terminal.line(
    renderTable(
      [{ title: 'largest tensors then' }, { title: 'kind' }, right('count'), right('bytes')],
      largest,
    ),
  );
  terminal.line();
}

/** Ways of training side by side, each with its share of what plain dense training needs. */
export function printComparison(
  terminal: Terminal,
  subject: PlanSubject,
  compared: readonly ComparedPlan[],
  asked: ComparedPlan | undefined,
  largest?: readonly { readonly batch: number }[],
): void {
  if (asked === undefined) {
    terminal.prose(`${terminal.style('bold', subject.options.model.name)}: ${sizeOf(subject)}`);
    terminal.line();
  }
  const plain = compared[0]!.report.peakBytes;
  const limit = subject.memoryLimitBytes;
  const rows = compared.map(({ name, report: { peakBytes } }, i) => [
    name,
    formatBytes(peakBytes),
    formatPercent(peakBytes / plain),
    ...(largest === undefined || limit === undefined
      ? []
      : [peakBytes <= limit ? 'fits' : 'too large', formatLargest(largest[i]!.batch)]),
  ]);
  const columns = [
    { title: asked === undefined ? 'method' : 'beside the baselines' },
    right('peak'),
    right('of plain dense'),
    ...(limit === undefined ? [] : [right(`in ${formatBytes(limit)}`), right('largest batch')]),
  ];
  terminal.line(renderTable(columns, rows));
  if (asked !== undefined || limit !== undefined) return;
  terminal.line();
  terminal.prose('For what stands at a peak, name a method: --method compact --store lazy', '  ');
}

const formatLargest = (batch: number): string => (batch === 0 ? 'none' : formatCount(batch));

function sizeOf({ options, threads }: PlanSubject): string {
  const { batchSize, sequenceLength, dtype, accumulateGradients, accounting, target } = options;
  const tokens = (batchSize * sequenceLength).toLocaleString('en');
  return [
    `${batchSize} x ${sequenceLength} = ${tokens} tokens`,
    dtype,
    ...(accumulateGradients === true ? ['gradients accumulated'] : []),
    target.device === 'cpu' ? `for ${threads} threads` : `for ${target.device}`,
    ...(accounting === 'published' ? ['published accounting'] : []),
  ].join(', ');
}

/** A plan over the limit, with changes that would help in the words of this command. */
export function doesNotFit(
  { options, hasMethod }: PlanSubject,
  { name, report }: ComparedPlan,
  limitBytes: number,
  found: readonly Remedy[],
): CompactError {
  const { model, batchSize, sequenceLength } = options;
  const changes = found.map(({ change, ...remedy }) => ({ change: flagsOf(change), ...remedy }));
  const lines = changes.map(
    ({ change, peakBytes, fits }) =>
      `${change}  needs ${formatBytes(peakBytes)}${fits ? '' : ', still too much'}`,
  );
  const size = `at ${batchSize} x ${sequenceLength} tokens`;
  const what = hasMethod
    ? `${model.name}, ${name}, does not fit ${size}`
    : `${model.name} fits with none of the methods ${size}; the nearest is ${name}`;
  return compactError('ERR_COMPACT_DOES_NOT_FIT', what, {
    expected: `at most ${formatBytes(limitBytes)}`,
    received: `a peak of ${formatBytes(report.peakBytes)}`,
    remedy: lines.length === 0 ? 'Choose a smaller model or a shorter sequence' : lines.join('\n'),
    details: { remedies: changes },
  });
}

/** A change in the words of recipes as flags. */
const flagsOf = (change: Remedy['change']): string =>
  Object.entries(change)
    .map(([key, value]) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} ${value}`)
    .join(' ');

/** Tensors that differ by the number of their layer only, together; largest first. */
function sumOverLayers(
  held: readonly HeldBytes[],
): { name: string; kind: string; bytes: number; count: number }[] {
  const sums = new Map<string, { name: string; kind: string; bytes: number; count: number }>();
  for (const { name: full, kind, bytes } of held) {
    const name = full.replace(/\.\d+\./, '.*.');
    const sum = sums.get(name) ?? { name, kind, bytes: 0, count: 0 };
    sums.set(name, { ...sum, bytes: sum.bytes + bytes, count: sum.count + 1 });
  }
  return [...sums.values()].toSorted((a, b) => b.bytes - a.bytes);
}
