import { formatBytes, formatCount, formatGiB, formatPercent, formatSmall } from '../../format.js';
import { renderTable, type Column } from '../../table.js';
import type { Terminal } from '../../terminal.js';
import { processors } from '../machine.js';
import { smallestPeak } from './planned-peaks.js';
import type { BenchReport, PlannedPeak, PlannedTable } from './report.js';

/** The report as the terminal shows it; the page has more. */
export function printReport(terminal: Terminal, report: BenchReport): void {
  const { machine, demo } = report;
  terminal.line(
    terminal.style(
      'dim',
      `${processors(machine)}, ${machine.cores} cores, ${machine.instructionSet}, Node ${machine.node}`,
    ),
  );
  printPlanned(terminal, report);
  heading(
    terminal,
    `Training on real text: ${formatCount(demo.numParameters)} parameters, ${demo.corpus}, ${demo.maxSteps} steps of ` +
      `${demo.batchSize} x ${demo.sequenceLength} tokens, ${demo.dtype}, same batches`,
  );
  terminal.line(demoRuns(report));
}

/** What is known without training. */
export function printPlanned(terminal: Terminal, report: Pick<BenchReport, 'planned' | 'savings'>): void {
  for (const table of report.planned) {
    const threads = table.threads === undefined ? '' : `, ${table.threads} CPU threads`;
    const tokens = `${table.batchSize} x ${table.sequenceLength} tokens, ${table.dtype}${threads}`;
    const isOurs = table.accounting === 'ours';
    const smallest = new Set(table.models.map(smallestPeak));
    heading(
      terminal,
      `Planned peak, GiB, * is the smallest: ${tokens}, ${isOurs ? 'as this program allocates' : "in the paper's accounting"}`,
    );
    terminal.line(
      plannedCells(table, (peak) => `${smallest.has(peak) ? '* ' : ''}${formatGiB(peak.peakBytes)}`),
    );
    heading(
      terminal,
      isOurs
        ? 'The same in per cent of dense / of dense with cheap recompute'
        : 'The same in per cent of dense',
    );
    terminal.line(plannedCells(table, shares));
    if (!isOurs) continue;
    heading(terminal, 'The smallest of each model beside dense training');
    terminal.line(smallestPeaks(table));
  }
  if (report.savings.length === 0) return;
  heading(terminal, 'Saved against dense, GiB (published by the paper)');
  terminal.line(savings(report));
}

const heading = (terminal: Terminal, text: string): void =>
  terminal.line(`\n${terminal.style('bold', text)}`);

const right = (title: string): Column => ({ title, align: 'right' });

/** Methods down, models across. */
function plannedCells(table: PlannedTable, cell: (peak: PlannedPeak) => string): string {
  const columns = [{ title: '' }, ...table.models.map(({ model }) => right(model.replace('llama-', '')))];
  const rows = table.models[0]!.peaks.map(({ variant }, index) => [
    variant,
    ...table.models.map(({ peaks }) => cell(peaks[index]!)),
  ]);
  return renderTable(columns, rows);
}

/** Of dense, and of dense with cheap recompute where that was planned. */
function shares({ shareOfPlain, shareOfSelective }: PlannedPeak): string {
  const found = [shareOfPlain, shareOfSelective].filter((share) => share !== undefined);
  return found.map((share) => Math.round(100 * share)).join('/');
}

/** Models down; the smallest peak, and its share of each dense baseline. */
function smallestPeaks({ models }: PlannedTable): string {
  const columns = ['GiB', 'of plain', 'of cheap recompute', 'of layer checkpointing'].map(right);
  const rows = models.map((model) => {
    const peak = smallestPeak(model);
    const { peakBytes, shareOfPlain, shareOfSelective, shareOfCheckpointed } = peak;
    const found = [shareOfPlain, shareOfSelective, shareOfCheckpointed];
    return [
      model.model,
      peak.variant,
      formatGiB(peakBytes),
      ...found.map((share) => (share === undefined ? '-' : formatPercent(share))),
    ];
  });
  return renderTable([{ title: '' }, { title: 'smallest' }, ...columns], rows);
}

function savings({ savings: list }: Pick<BenchReport, 'savings'>): string {
  const models = [...new Set(list.map(({ model }) => model))];
  const ratios = [...new Set(list.map(({ rankRatio }) => rankRatio))];
  const rows = models.map((model) => [
    model,
    ...ratios.map((ratio) => {
      const { plannedBytes, publishedBytes } = list.find((s) => s.model === model && s.rankRatio === ratio)!;
      return `${formatGiB(plannedBytes)} (${publishedBytes === undefined ? '-' : formatGiB(publishedBytes)})`;
    }),
  ]);
  return renderTable([{ title: '' }, ...ratios.map((ratio) => right(`n/${1 / ratio}`))], rows);
}

function demoRuns({ demo }: BenchReport): string {
  const columns = [
    { title: '' },
    ...[
      'lr matrices',
      'lr others',
      'held-out loss',
      'vs dense',
      'perplexity',
      'tokens/s',
      'planned',
      'allocated',
      'process',
      'loop p99',
    ].map(right),
  ];
  const rows = demo.runs.map((run) => [
    run.variant,
    formatSmall(run.learningRate),
    formatSmall(run.otherLearningRate),
    run.finalLoss.toFixed(4),
    `${run.lossGap >= 0 ? '+' : ''}${formatPercent(run.lossGap)}`,
    run.perplexity.toFixed(2),
    formatCount(run.tokensPerSecond),
    formatBytes(run.plannedBytes),
    run.allocatedBytes === run.plannedBytes ? 'equal' : formatBytes(run.allocatedBytes),
    formatBytes(run.processBytes),
    `${run.eventLoopDelayP99Ms.toFixed(1)} ms`,
  ]);
  return renderTable(columns, rows);
}
