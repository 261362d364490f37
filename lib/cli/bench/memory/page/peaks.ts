import { formatCount, formatGiB } from '../../../format.js';
import { shownGroups } from '../../charts/kind-segments.js';
import { kindBar } from '../../page/kind-bar.js';
import { element, escapeText as escape } from '../../charts/svg.js';
import { legendHtml } from '../../page/legend.js';
import { htmlTable, tag, type Cell } from '../../page/table.js';
import { baselineName, smallestPeak } from '../planned-peaks.js';
import type { PlannedModel, PlannedPeak, PlannedTable } from '../report.js';

/** The model that a reader sees first. */
export const firstModel = ({ models }: PlannedTable): PlannedModel =>
  models.find(({ model }) => model === 'llama-350m') ?? models[0]!;

export const sizeOf = (table: PlannedTable): string =>
  `${table.batchSize} sequences of ${table.sequenceLength} tokens, ${table.dtype}` +
  (table.threads === undefined ? '' : `, ${table.threads} CPU threads`);

/** One model at a time: every method with its bar, the largest first. */
export function modelBars(table: PlannedTable): string {
  const initial = firstModel(table);
  const options = table.models.map((model) =>
    element(
      'option',
      { value: model.model, selected: model === initial ? 'selected' : undefined },
      escape(`${model.model} (${formatCount(model.numParameters)} parameters)`),
    ),
  );
  const panels = table.models.map(
    (model) => `<div data-panel="peaks" data-value="${escape(model.model)}">${barTable(model, table)}</div>`,
  );
  return `<p data-script hidden><label>Model <select data-shows="peaks">${options.join('')}</select></label></p>
${panels.join('\n')}`;
}

function barTable(model: PlannedModel, table: PlannedTable): string {
  const sorted = model.peaks.toSorted((a, b) => b.peakBytes - a.peakBytes);
  const highest = sorted[0]!.peakBytes;
  const smallest = smallestPeak(model);
  const rows = sorted.map((peak, index): Cell[] => [
    { html: methodName(peak, peak === smallest), className: peak === smallest ? 'best' : undefined },
    { html: kindBar(peak.variant, peak, `${model.model}-bar-${index}`, highest), className: 'bar-cell' },
    { html: `<b>${formatGiB(peak.peakBytes)} GiB</b>`, className: 'peak' },
    { html: percent(peak.shareOfPlain), label: 'of plain' },
    { html: percent(peak.shareOfSelective), label: 'of selective' },
    { html: percent(peak.shareOfCheckpointed), label: 'of checkpointed' },
  ]);
  return `${legendHtml(shownGroups(model.peaks))}
${htmlTable({
  caption: `${model.model}: planned peak of one training step, ${sizeOf(table)}; the largest first`,
  columns: ['method', 'what stands at the peak', 'peak', 'of plain', 'of selective', 'of checkpointed'],
  rows,
  className: 'bars',
})}`;
}

/** Every model: methods down, models across. */
export function plannedTable(table: PlannedTable, caption: string): string {
  const smallest = new Set(table.models.map(smallestPeak));
  const rows = table.models[0]!.peaks.map((first, index): Cell[] => [
    {
      html: methodName(
        first,
        table.models.every(({ peaks }) => smallest.has(peaks[index]!)),
      ),
    },
    ...table.models.map(({ peaks }): Cell => {
      const peak = peaks[index]!;
      const isSmallest = smallest.has(peak);
      const shares = [peak.shareOfPlain, peak.shareOfSelective, peak.shareOfCheckpointed]
        .filter((share) => share !== undefined)
        .map((share) => Math.round(100 * share));
      const value = formatGiB(peak.peakBytes);
      return {
        html: `${isSmallest ? `<b>${value}</b>` : value}<small>${shares.join(' · ')} %</small>`,
        className: isSmallest ? 'best' : undefined,
      };
    }),
  ]);
  return htmlTable({
    caption,
    columns: ['GiB', ...table.models.map(({ model }) => model.replace('llama-', ''))],
    rows,
  });
}

function methodName(peak: PlannedPeak, isSmallest: boolean): string {
  const baseline = baselineName(peak);
  const marks = [baseline && tag(`baseline: ${baseline}`), isSmallest && tag('smallest', 'good')];
  return [escape(peak.variant), ...marks.filter(Boolean)].join(' ');
}

const percent = (share: number | undefined): string =>
  share === undefined ? '' : `${(100 * share).toFixed(0)} %`;
