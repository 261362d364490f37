import type { DemoRun, LossPoint } from '../report.js';
import { formatCount } from '../../format.js';
import { seriesColours } from './palette.js';
import { element, linearScale, path, text, ticks } from './svg.js';

type Run = Pick<DemoRun, 'variant' | 'learningRate' | 'losses' | 'evaluations'>;

const margin = { left: 44, right: 210, top: 10, bottom: 40 };

/** Loss against tokens: every step faint, its moving average strong, held-out text as dots. */
export function lossCurves(runs: readonly Run[], width: number, height: number): string {
  const smooth = runs.map((run) => movingAverage(run.losses));
  const lows = [...smooth.flat(), ...runs.flatMap((run) => run.evaluations)].map((point) => point.loss);
  const low = Math.min(...lows);
  // The fall of the first steps says nothing and would take half of the chart.
  const high = Math.max(...smooth.map((points) => points[Math.floor(points.length / 12)]!.loss));
  const lastToken = Math.max(...runs.map((run) => run.losses.at(-1)?.numTokens ?? 0));
  const x = linearScale([0, lastToken], [margin.left, width - margin.right]);
  const y = linearScale([low - 0.05 * (high - low), high], [height - margin.bottom, margin.top]);

  const grid = [
    ...ticks(low, high, 6).flatMap((value) => [
      element('line', { x1: x(0), x2: x(lastToken), y1: y(value), y2: y(value), class: 'rule' }),
      text(margin.left - 8, y(value) + 4, String(value), { 'text-anchor': 'end', class: 'soft tabular' }),
    ]),
    ...ticks(0, lastToken, 5).map((value) =>
      text(x(value), height - margin.bottom + 18, formatCount(value), {
        'text-anchor': 'middle',
        class: 'soft tabular',
      }),
    ),
    text(x(lastToken / 2), height - 4, 'tokens', { 'text-anchor': 'middle', class: 'soft' }),
  ];
  const at = (point: LossPoint): readonly [number, number] => [
    x(point.numTokens),
    Math.max(y(point.loss), margin.top),
  ];
  const curves = runs.flatMap((run, index) => {
    const colour = seriesColours[index % seriesColours.length]!;
    return [
      path(fromBelow(run.losses, high).map(at), { fill: 'none', stroke: colour, 'stroke-opacity': 0.22 }),
      path(fromBelow(smooth[index]!, high).map(at), {
        fill: 'none',
        stroke: colour,
        'stroke-width': 2,
        'stroke-linejoin': 'round',
        'stroke-dasharray': index === 0 ? undefined : '7 3',
      }),
      ...fromBelow(run.evaluations, high).map((point) =>
        element(
          'circle',
          { cx: at(point)[0], cy: at(point)[1], r: 3.5, fill: colour, stroke: 'var(--ground)' },
          element('title', {}, `${run.variant}, held out, step ${point.step}: ${point.loss.toFixed(3)}`),
        ),
      ),
    ];
  });
  return [...grid, ...curves, ...endLabels(runs, x(lastToken) + 12, y, height)].join('');
}

/** Points from the first one inside the chart; a later one above it is drawn at the edge. */
const fromBelow = (points: readonly LossPoint[], high: number): readonly LossPoint[] =>
  points.slice(
    Math.max(
      0,
      points.findIndex((point) => point.loss <= high),
    ),
  );

/** Names at the ends of the lines, moved apart where they would collide. */
function endLabels(runs: readonly Run[], x: number, y: (loss: number) => number, height: number): string[] {
  const gap = 34;
  const labels = runs.map((run, index) => ({ run, index, y: y(lastLoss(run)) })).sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++) labels[i]!.y = Math.max(labels[i]!.y, labels[i - 1]!.y + gap);
  const overflow = (labels.at(-1)?.y ?? 0) + 20 - (height - margin.bottom);
  if (overflow > 0) for (const label of labels) label.y -= overflow;
  return labels.flatMap(({ run, index, y: middle }) => [
    text(x, middle, `${run.variant}  ${lastLoss(run).toFixed(3)}`, {
      class: 'strong tabular',
      style: `fill: ${seriesColours[index % seriesColours.length]}`,
    }),
    text(x, middle + 15, `learning rate ${run.learningRate}`, { class: 'soft tabular' }),
  ]);
}

const lastLoss = (run: Run): number => run.evaluations.at(-1)?.loss ?? run.losses.at(-1)?.loss ?? NaN;

/** Centred, so that it does not lag behind where the loss falls fast. */
function movingAverage(points: readonly LossPoint[]): LossPoint[] {
  const reach = Math.max(1, Math.round(points.length / 60));
  return points.map((point, i) => {
    const radius = Math.min(reach, i, points.length - 1 - i);
    const near = points.slice(i - radius, i + radius + 1);
    return { ...point, loss: near.reduce((sum, { loss }) => sum + loss, 0) / near.length };
  });
}
