import { formatBytes, formatCount, formatDifference, formatPercent, formatSmall } from '../../format.js';
import { renderTable } from '../../table.js';
import type { Terminal } from '../../terminal.js';
import type { DemoRates } from '../training/demo-recipe.js';
import {
  besideSelective,
  frontWords,
  tradeOffName,
  tradeOffs,
  type QualityReport,
} from './quality-report.js';
import type { Contender, QualityResult, QualityRun } from './quality-sweep.js';

const axes: Readonly<Record<keyof DemoRates, { readonly words: string; readonly flag: string }>> = {
  matrixRate: { words: 'rate of matrices', flag: '--matrix-rates' },
  otherRate: { words: 'rate of embeddings, head and norms', flag: '--other-rates' },
};

/** Every cell, each method at its best, and what a step of it holds and takes. */
export function printQuality(terminal: Terminal, report: QualityReport): void {
  const { grid, steps, runs, results, withoutResult } = report;
  for (const contender of grid.contenders) printRuns(terminal, contender, steps, runs);
  printResults(terminal, results);
  for (const variant of withoutResult)
    terminal.warn(`  ${variant}: no result, no cell of its grid stayed finite with every seed`);
  printTradeOffs(terminal, report);
}

/** Rates of matrices across, the others down; of cells that no whole run was made of, the longest of their shorter runs. */
function printRuns(
  terminal: Terminal,
  { variant, matrixRates, otherRates }: Contender,
  steps: number,
  runs: readonly QualityRun[],
): void {
  const own = runs.filter((run) => run.variant === variant);
  const lossesAt = (matrixRate: number, otherRate: number | undefined): string => {
    const cell = own.filter((run) => run.matrixRate === matrixRate && run.otherRate === otherRate);
    const longest = Math.max(...cell.map((run) => run.steps));
    const losses = cell
      .filter((run) => run.steps === longest)
      .map(({ loss }) => (loss < Infinity ? loss.toFixed(4) : 'diverged'))
      .join(' ');
    return longest === steps ? losses : `${losses} (${longest} steps)`;
  };
  const rows = otherRates.length === 0 ? [undefined] : otherRates;
  terminal.line(`\n${terminal.style('bold', `${variant}: held-out loss, one number a seed`)}`);
  terminal.line(
    renderTable(
      [
        { title: 'others \\ matrices' },
        ...matrixRates.map((rate) => ({ title: formatSmall(rate), align: 'right' as const })),
      ],
      rows.map((other) => [
        other === undefined ? 'frozen' : formatSmall(other),
        ...matrixRates.map((rate) => lossesAt(rate, other)),
      ]),
    ),
  );
}

function printResults(terminal: Terminal, results: readonly QualityResult[]): void {
  terminal.line();
  for (const { variant, matrixRate, otherRate, meanLoss, lowestLoss, highestLoss, ...result } of results) {
    const { seeds, ofFirst, atEdgeOf } = result;
    const spread =
      seeds.length > 1
        ? ` (${lowestLoss.toFixed(4)} to ${highestLoss.toFixed(4)}, ${seeds.length} seeds)`
        : ' (one seed)';
    const ratio =
      variant === results[0]!.variant ? '' : `, ${formatDifference(ofFirst)} of ${results[0]!.variant}`;
    const others = otherRate === undefined ? '' : `, ${formatSmall(otherRate)} for the others`;
    terminal.line(
      `  ${variant}: ${meanLoss.toFixed(4)}${spread} at ${formatSmall(matrixRate)} for matrices${others}${ratio}`,
    );
    for (const axis of atEdgeOf)
      terminal.warn(
        `  ${variant}: its ${axes[axis].words} is at the edge of the grid; a better one may lie beyond (${axes[axis].flag})`,
      );
  }
}

function printTradeOffs(terminal: Terminal, report: QualityReport): void {
  const rows = tradeOffs(report).map((point) => [
    `${point.isOnFront ? '* ' : ''}${tradeOffName(point)}`,
    point.meanLoss.toFixed(3),
    point.perplexity.toFixed(2),
    formatBytes(point.peakBytes),
    formatPercent(point.shareOfPlain),
    formatCount(point.tokensPerSecond),
    point.timeOfDense.toFixed(2),
    besideSelective(point),
  ]);
  if (rows.length === 0) return;
  const right = (title: string) => ({ title, align: 'right' as const });
  terminal.line(`\n${terminal.style('bold', `Memory and time of a step: * ${frontWords}`)}`);
  terminal.line(
    renderTable(
      [
        { title: '' },
        right('loss'),
        right('perplexity'),
        right('peak'),
        right('of plain'),
        right('tokens/s'),
        right('step of dense'),
        { title: 'beside selective recompute' },
      ],
      rows,
    ),
  );
}
