import { formatBytes, formatPercent } from '../../format.js';
import type { PlannedPeak } from '../report.js';
import { kindLegend } from './legend.js';
import { groupBytes, kindGroups } from './palette.js';
import { byteTicks, element, linearScale, text, translate } from './svg.js';

const rowHeight = 28;
const barHeight = 20;
const leastLabelWidth = 250;
const totalWidth = 150;

interface Bar extends Pick<PlannedPeak, 'variant' | 'peakBytes' | 'byKind' | 'shareOfPlain'> {
  /** What was measured of the same, as a line across the bar. */
  readonly measuredBytes?: number;
}

/** One horizontal bar per method, split by what the bytes are for at the moment of the peak. */
export function peakBars(peaks: readonly Bar[], width: number): { svg: string; height: number } {
  const labelWidth = Math.max(
    leastLabelWidth,
    20 + 6 * Math.max(...peaks.map(({ variant }) => variant.length)),
  );
  const shown = kindGroups.filter((group) => peaks.some((peak) => groupBytes(group, peak.byKind) > 0));
  const legend = kindLegend(shown, width);
  const top = legend.height + 12;
  const highest = Math.max(...peaks.map((peak) => Math.max(peak.peakBytes, peak.measuredBytes ?? 0)));
  const x = linearScale([0, highest], [labelWidth, width - totalWidth]);
  const bottom = top + peaks.length * rowHeight;
  const grid = byteTicks(highest, 6).map(({ value, label }) => [
    element('line', { x1: x(value), x2: x(value), y1: top - 4, y2: bottom, class: 'rule' }),
    text(x(value), bottom + 16, label, { 'text-anchor': 'middle', class: 'soft tabular' }),
  ]);
  const bars = peaks.map((peak, row) => {
    let from = 0;
    const segments = shown.map((group) => {
      const bytes = groupBytes(group, peak.byKind);
      const segment = element(
        'rect',
        {
          x: x(from),
          y: (rowHeight - barHeight) / 2,
          width: Math.max(0, x(from + bytes) - x(from)),
          height: barHeight,
          fill: group.colour,
        },
        element('title', {}, `${peak.variant}: ${group.label} ${formatBytes(bytes)}`),
      );
      from += bytes;
      return bytes > 0 ? segment : '';
    });
    const middle = rowHeight / 2 + 4;
    const total = formatBytes(peak.peakBytes);
    const { measuredBytes } = peak;
    const end = x(Math.max(from, measuredBytes ?? 0));
    const mark =
      measuredBytes === undefined
        ? ''
        : element(
            'line',
            { x1: x(measuredBytes), x2: x(measuredBytes), y1: 1, y2: rowHeight - 1, class: 'measured' },
            element('title', {}, `${peak.variant}: ${formatBytes(measuredBytes)} measured`),
          );
    return translate(
      0,
      top + row * rowHeight,
      text(labelWidth - 12, middle, peak.variant, { 'text-anchor': 'end' }),
      ...segments,
      mark,
      text(end + 8, middle, total, { class: 'strong tabular' }),
      text(end + 16 + total.length * 6.6, middle, formatPercent(peak.shareOfPlain), {
        class: 'soft tabular',
      }),
    );
  });
  return { svg: [legend.svg, ...grid.flat(), ...bars].join(''), height: bottom + 26 };
}
