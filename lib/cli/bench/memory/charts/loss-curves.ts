import type { DemoRun, LossPoint } from '../report.js';
import { formatCount, formatSmall } from '../../../format.js';
import { seriesColours } from '../../charts/palette.js';
import { element, linearScale, path, text, ticks, tickStep, translate } from '../../charts/svg.js';
import type { AxisLabel } from '../../charts/plot.js';

export type LossRun = Pick<
  DemoRun,
  'variant' | 'learningRate' | 'otherLearningRate' | 'losses' | 'evaluations'
>;

/** Curves without words, and what stands at the axes. */
export interface LossPlot {
  readonly shapes: string;
  readonly xLabels: readonly AxisLabel[];
  readonly yLabels: readonly AxisLabel[];
  /** The ends of the vertical axis, in nats per token. */
  readonly low: number;
  readonly high: number;
  /** Steps whose mean loss lies above the chart, of the run that has most of them. */
  readonly stepsAbove: number;
  /** Of the steps above the chart, or of all. */
  readonly highestLoss: number;
  /** Height of a loss, as a share of the axis from below. */
  readonly heightOf: (loss: number) => number;
}

const margin = { left: 44, right: 210, top: 10, bottom: 40 };

export const seriesColour = (index: number): string => seriesColours[index % seriesColours.length]!;

/** Dashes tell the first run from the others without its colour. */
export const seriesDashes = (index: number): string | undefined => (index === 0 ? undefined : '7 3');

export const lastLoss = (run: LossRun): number =>
  run.evaluations.at(-1)?.loss ?? run.losses.at(-1)?.loss ?? NaN;

/** Peak learning rates: of matrices, and of embeddings, head and norms. */
export const ratesInWords = ({ learningRate, otherLearningRate }: LossRun): string =>
  `rates ${formatSmall(learningRate)}, others ${formatSmall(otherLearningRate)}`;

/** Loss against tokens: every step faint, its moving average strong, held-out text as dots. */
export function lossPlot(runs: readonly LossRun[], width: number, height: number): LossPlot {
  const smooth = runs.map((run) => movingAverage(run.losses));
  const all = [...smooth.flat(), ...runs.flatMap((run) => run.evaluations)].map((point) => point.loss);
  // The fall of the first steps would take half of the chart.
  const start = Math.max(...smooth.map((points) => points[Math.floor(points.length / 12)]!.loss));
  const step = tickStep(Math.min(...all), start, 6);
  const low = tidy(step * Math.floor(Math.min(...all) / step + 1e-9));
  const high = tidy(Math.max(low + step, step * Math.ceil(start / step - 1e-9)));
  const lastToken = Math.max(...runs.map((run) => run.losses.at(-1)?.numTokens ?? 0));
  const x = linearScale([0, lastToken], [0, width]);
  const y = linearScale([low, high], [height, 0]);
  const at = ({ numTokens, loss }: LossPoint): readonly [number, number] => [
    x(numTokens),
    Math.max(y(loss), 0),
  ];
  const yTicks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => tidy(low + i * step));
  const grid = yTicks.map((value) =>
    element('line', { x1: 0, x2: width, y1: y(value), y2: y(value), class: 'rule', ...sameWidth }),
  );
  const line = { fill: 'none', 'stroke-linejoin': 'round', ...sameWidth } as const;
  const curves = runs.flatMap((run, index) => {
    const stroke = seriesColour(index);
    const dashes = seriesDashes(index);
    return [
      path(fromBelow(run.losses, high).map(at), { ...line, stroke, 'stroke-opacity': 0.25 }),
      path(fromBelow(smooth[index]!, high).map(at), {
        ...line,
        stroke,
        'stroke-width': 2,
        'stroke-dasharray': dashes,
      }),
      // A stroke without length is a dot that stays round where the plot is stretched.
      ...fromBelow(run.evaluations, high).map((point) =>
        path([at(point), at(point)], { stroke, 'stroke-width': 8, 'stroke-linecap': 'round', ...sameWidth }),
      ),
    ];
  });
  const xTicks = ticks(0, lastToken, 5).filter((value) => value < 0.9 * lastToken);
  return {
    shapes: [...grid, ...curves].join(''),
    xLabels: [...xTicks, lastToken].map((value) => ({ at: value / lastToken, label: tokenCount(value) })),
    yLabels: yTicks.map((value) => ({ at: (value - low) / (high - low), label: String(value) })),
    low,
    high,
    stepsAbove: Math.max(...smooth.map((points) => points.length - fromBelow(points, high).length)),
    highestLoss: Math.max(...all),
    heightOf: (loss) => (loss - low) / (high - low),
  };
}

/** The same as a picture of its own, with names at the ends of the lines. */
export function lossCurves(runs: readonly LossRun[], width: number, height: number): string {
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  const plot = lossPlot(runs, inner.width, inner.height);
  const soft = { class: 'soft tabular' };
  const words = [
    ...plot.yLabels.map(({ at, label }) =>
      text(-8, inner.height * (1 - at) + 4, label, { 'text-anchor': 'end', ...soft }),
    ),
    ...plot.xLabels.map(({ at, label }) =>
      text(inner.width * at, inner.height + 18, label, { 'text-anchor': 'middle', ...soft }),
    ),
    text(inner.width / 2, inner.height + 36, 'tokens', { 'text-anchor': 'middle', class: 'soft' }),
  ];
  const ends = endLabels(
    runs,
    inner.width + 12,
    (loss) => inner.height * (1 - plot.heightOf(loss)),
    inner.height,
  );
  return translate(margin.left, margin.top, plot.shapes, ...words, ...ends);
}

/** What cannot be seen of the axes, in words. */
export function axisNote({ low, high, stepsAbove, highestLoss }: LossPlot): string {
  const range = `The vertical axis runs from ${low} to ${high}, not from 0`;
  if (stepsAbove === 0) return `${range}.`;
  const from = highestLoss.toFixed(2);
  if (stepsAbove === 1) return `${range}; the first step, at ${from}, lies above it.`;
  return `${range}; the first ${stepsAbove} steps, from ${from} down, lie above it.`;
}

/** 50k instead of 50.0k. */
const tokenCount = (count: number): string => formatCount(count).replace(/\.0+(?=\D)/, '');

/** Without what sums of decimals leave behind. */
const tidy = (value: number): number => Number(value.toPrecision(6));

/** Lines keep their width where the plot is stretched. */
const sameWidth = { 'vector-effect': 'non-scaling-stroke' } as const;

/** Points from the first one inside the chart; a later one above it is drawn at the edge. */
const fromBelow = (points: readonly LossPoint[], high: number): readonly LossPoint[] =>
  points.slice(
    Math.max(
      0,
      points.findIndex((point) => point.loss <= high),
    ),
  );

/** Names at the ends of the lines, moved apart where they would collide. */
function endLabels(
  runs: readonly LossRun[],
  x: number,
  y: (loss: number) => number,
  bottom: number,
): string[] {
  const gap = 34;
  const labels = runs.map((run, index) => ({ run, index, y: y(lastLoss(run)) })).sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++) labels[i]!.y = Math.max(labels[i]!.y, labels[i - 1]!.y + gap);
  const overflow = (labels.at(-1)?.y ?? 0) + 20 - bottom;
  if (overflow > 0) for (const label of labels) label.y -= overflow;
  return labels.flatMap(({ run, index, y: middle }) => [
    text(x, middle, `${run.variant}  ${lastLoss(run).toFixed(3)}`, {
      class: 'strong tabular',
      style: `fill: ${seriesColour(index)}`,
    }),
    text(x, middle + 15, ratesInWords(run), { class: 'soft tabular' }),
  ]);
}

/** Centred, so that it does not lag behind where the loss falls fast. */
export function movingAverage(points: readonly LossPoint[]): LossPoint[] {
  const reach = Math.max(1, Math.round(points.length / 60));
  return points.map((point, i) => {
    const radius = Math.min(reach, i, points.length - 1 - i);
    const near = points.slice(i - radius, i + radius + 1);
    return { ...point, loss: near.reduce((sum, { loss }) => sum + loss, 0) / near.length };
  });
}
