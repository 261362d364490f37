import { formatPercent } from '../../lib/cli/format.js';
import { element, linearScale, text, ticks, translate } from '../../lib/cli/bench/charts/svg.js';

export interface StepBar {
  readonly label: string;
  readonly ms: number;
  readonly isMeasured: boolean;
}

const rowHeight = 26;
const labelWidth = 300;

/** Milliseconds of a step: filled where they were measured, outlined where they are predicted. */
export function stepBars(bars: readonly StepBar[], width: number): { svg: string; height: number } {
  const highest = Math.max(...bars.map(({ ms }) => ms));
  const x = linearScale([0, highest], [labelWidth, width - 130]);
  const bottom = bars.length * rowHeight;
  const grid = ticks(0, highest, 6).map((ms) => [
    element('line', { x1: x(ms), x2: x(ms), y1: 0, y2: bottom, class: 'rule' }),
    text(x(ms), bottom + 16, `${ms} ms`, { 'text-anchor': 'middle', class: 'soft tabular' }),
  ]);
  const rows = bars.map(({ label, ms, isMeasured }, row) =>
    translate(
      0,
      row * rowHeight,
      text(labelWidth - 12, 17, label, { 'text-anchor': 'end' }),
      element('rect', {
        x: x(0),
        y: 4,
        width: x(ms) - x(0),
        height: 17,
        fill: 'var(--series-0)',
        'fill-opacity': isMeasured ? 1 : 0.18,
        stroke: 'var(--series-0)',
        'stroke-dasharray': isMeasured ? undefined : '4 3',
      }),
      text(x(ms) + 8, 17, ms.toFixed(0), { class: 'strong tabular' }),
      text(x(ms) + 40, 17, `${formatPercent(ms / bars[0]!.ms)}${isMeasured ? '' : ', predicted'}`, {
        class: 'soft tabular',
      }),
    ),
  );
  return { svg: [...grid.flat(), ...rows].join(''), height: bottom + 26 };
}
