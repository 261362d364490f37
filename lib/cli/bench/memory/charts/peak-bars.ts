import { formatBytes, formatPercent } from '../../../format.js';
import type { PlannedPeak } from '../report.js';
import { kindLegend } from '../../charts/legend.js';
import { barSegments, shownGroups } from '../../charts/kind-segments.js';
import { byteTicks, element, linearScale, text, translate } from '../../charts/svg.js';

const rowHeight = 28;
const barHeight = 20;
const leastLabelWidth = 250;
const totalWidth = 150;

interface Bar extends Pick<PlannedPeak, 'variant' | 'peakBytes' | 'byKind' | 'shareOfPlain'> {
  /** What was measured of the same, as a line across the bar. */
  readonly measuredBytes?: number;
  /** Marks the bar, instead of its share of plain dense training. */
  readonly mark?: string;
}

/** One horizontal bar per method, split by what the bytes are for at the moment of the peak. */
export function peakBars(peaks: readonly Bar[], width: number): { svg: string; height: number } {
  const labelWidth = Math.max(
    leastLabelWidth,
    20 + 6 * Math.max(...peaks.map(({ variant }) => variant.length)),
  );
  const legend = kindLegend(shownGroups(peaks), width);
  const top = legend.height + 12;
  const highest = Math.max(...peaks.map((peak) => Math.max(peak.peakBytes, peak.measuredBytes ?? 0)));
  const x = linearScale([0, highest], [labelWidth, width - totalWidth]);
  const bottom = top + peaks.length * rowHeight;
  const grid = byteTicks(highest, 6).map(({ value, label }) => [
    element('line', { x1: x(value), x2: x(value), y1: top - 4, y2: bottom, class: 'rule' }),
    text(x(value), bottom + 16, label, { 'text-anchor': 'middle', class: 'soft tabular' }),
  ]);
  const bars = peaks.map((peak, row) => {
    const middle = rowHeight / 2 + 4;
    const total = formatBytes(peak.peakBytes);
    const { measuredBytes } = peak;
    const end = x(Math.max(peak.peakBytes, measuredBytes ?? 0));
    const mark =
      measuredBytes === undefined
        ? ''
        : element(
            'line',
            { x1: x(measuredBytes), x2: x(measuredBytes), y1: 1, y2: rowHeight - 1, class: 'measured' },
            element('title', {}, `${formatBytes(measuredBytes)} measured`),
          );
    return translate(
      0,
      top + row * rowHeight,
      text(labelWidth - 12, middle, peak.variant, { 'text-anchor': 'end' }),
      ...barSegments(peak.byKind, x, (rowHeight - barHeight) / 2, barHeight),
      mark,
      text(end + 8, middle, total, { class: 'strong tabular' }),
      text(end + 16 + total.length * 6.6, middle, peak.mark ?? formatPercent(peak.shareOfPlain), {
        class: peak.mark === undefined ? 'soft tabular' : 'good strong tabular',
      }),
    );
  });
  return { svg: [legend.svg, ...grid.flat(), ...bars].join(''), height: bottom + 26 };
}
