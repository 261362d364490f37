import { formatBytes, formatCount, formatGiB, formatPercent, formatSmall } from '../format.js';
import { renderTable, type Column } from '../table.js';
import type { Terminal } from '../terminal.js';
import { processors } from './machine.js';
import type { BenchReport, PlannedPeak, PlannedTable } from './report.js';

/** The report as the terminal shows it; the page has more. */
export function printReport(terminal: Terminal, report: BenchReport): void {
  const { machine, demo } = report;
  const heading = (text: string): void => terminal.line(`\n${terminal.style('bold', text)}`);
  terminal.line(
    terminal.style(
      'dim',
      `${processors(machine)}, ${machine.cores} cores, ${machine.instructionSet}, Node ${machine.node}`,
    ),
  );
  for (const table of report.planned) {
    const tokens = `${table.batchSize} x ${table.sequenceLength} tokens, ${table.dtype}`;
    const isOurs = table.accounting === 'ours';
    heading(
      `Planned peak, GiB: ${tokens}, ${isOurs ? 'as this program allocates' : "in the paper's accounting"}`,
    );
    terminal.line(plannedCells(table, ({ peakBytes }) => formatGiB(peakBytes)));
    heading(
      isOurs
        ? 'The same in per cent of dense / of dense with cheap recompute'
        : 'The same in per cent of dense',
    );
    terminal.line(plannedCells(table, shares));
  }
  heading('Saved against dense, GiB (published by the paper)');
  terminal.line(savings(report));
  heading(
    `Training on real text: ${formatCount(demo.numParameters)} parameters, ${demo.corpus}, ${demo.maxSteps} steps of ` +
      `${demo.batchSize} x ${demo.sequenceLength} tokens, ${demo.dtype}, same batches`,
  );
  terminal.line(demoRuns(report));
}

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

function savings({ savings: list }: BenchReport): string {
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
