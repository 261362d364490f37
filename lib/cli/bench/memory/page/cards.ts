import { formatBytes, formatGiB, formatPercent } from '../../../format.js';
import { escapeText as escape } from '../../charts/svg.js';
import { firstModel } from './peaks.js';
import { signed } from './training.js';
import { baselineName, smallestPeak } from '../planned-peaks.js';
import type { BenchReport, PlannedPeak, PlannedTable } from '../report.js';

interface Card {
  readonly value: string;
  readonly label: string;
}

/** What matters most, each with what it is of and what it is compared with. */
export function cards(report: BenchReport, planned: PlannedTable): string {
  const list = [...peakCards(planned), ...demoCards(report)];
  return `<dl class="cards">${list
    .map(({ value, label }) => `<div class="card"><dt>${escape(label)}</dt><dd>${escape(value)}</dd></div>`)
    .join('\n')}</dl>`;
}

function peakCards(table: PlannedTable): Card[] {
  const model = firstModel(table);
  const smallest = smallestPeak(model);
  const tokens = (table.batchSize * table.sequenceLength).toLocaleString('en');
  const of = (share: keyof PlannedPeak, name: string): Card[] => {
    const value = smallest[share];
    const baseline = model.peaks.find((peak) => baselineName(peak) === name);
    if (typeof value !== 'number' || baseline === undefined) return [];
    const label =
      `of ${baseline.variant} (the ${name} baseline, ${formatGiB(baseline.peakBytes)} GiB): ` +
      `${model.model} with ${smallest.variant}`;
    return [{ value: formatPercent(value), label }];
  };
  return [
    {
      value: `${formatGiB(smallest.peakBytes)} GiB`,
      label: `the smallest planned peak of ${model.model}, ${tokens} tokens a step: ${smallest.variant}`,
    },
    ...of('shareOfPlain', 'plain'),
    ...of('shareOfSelective', 'selective'),
    ...of('shareOfCheckpointed', 'checkpointed'),
  ];
}

function demoCards({ demo: { runs, maxSteps } }: BenchReport): Card[] {
  const dense = runs[0]!;
  const isEqual = runs.every(({ plannedBytes, allocatedBytes }) => plannedBytes === allocatedBytes);
  const bytes = runs.map((run) => `${run.variant} ${formatBytes(run.allocatedBytes)}`).join(', ');
  const losses = runs.slice(1).map((run): Card => ({
    value: signed(run.lossGap),
    label:
      `held-out loss of ${run.variant}, ${run.finalLoss.toFixed(3)}, against ${dense.variant}, ` +
      `${dense.finalLoss.toFixed(3)}: the demo model, ${maxSteps} steps on the same text`,
  }));
  const label = `planned and allocated bytes of the demo model: ${bytes}`;
  return [...losses, { value: isEqual ? 'equal' : 'different', label }];
}
