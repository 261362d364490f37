import type { RecomputePolicy } from '../../../../compile/index.js';
import type { AxisLabel } from '../../charts/plot.js';
import { byteTicks, element, linearScale, path, ticks, tickStep, type Scale } from '../../charts/svg.js';
import { denseMethod } from '../../training/demo-recipe.js';
import { frontWords, isNearDense, paretoFront, type TradeOff } from '../quality-report.js';

/** What peaks are drawn against. */
export type TradeOffAxis = 'loss' | 'speed';

/** Dots without words, and what stands at the axes. */
export interface TradeOffPlot {
  readonly title: string;
  readonly shapes: string;
  readonly xLabels: readonly AxisLabel[];
  readonly yLabels: readonly AxisLabel[];
  /** Where each is drawn, as shares of the axes from left and from below. */
  readonly marks: readonly { readonly tradeOff: TradeOff; readonly x: number; readonly y: number }[];
  /** Drawn at the edges. */
  readonly beyond: readonly TradeOff[];
}

const titles: Readonly<Record<TradeOffAxis, string>> = {
  loss: 'Held-out loss, nats per token: lower is better',
  speed: 'Speed of a step, as a ratio to dense: higher is better',
};

const valueOf = (axis: TradeOffAxis, { meanLoss, timeOfDense }: TradeOff): number =>
  axis === 'loss' ? meanLoss : 1 / timeOfDense;

/** The names of front points in tables and pictures: numbers, from the smallest peak up. */
export function frontNumbers(tradeOffs: readonly TradeOff[]): ReadonlyMap<TradeOff, number> {
  const front = tradeOffs
    .filter(({ isOnFront }) => isOnFront)
    .toSorted((a, b) => a.peakBytes - b.peakBytes || a.meanLoss - b.meanLoss);
  return new Map(front.map((tradeOff, index) => [tradeOff, index + 1]));
}

/** Peaks from left to right against what was bought with them; a line of steps joins those that no other beats. */
export function tradeOffPlot(
  tradeOffs: readonly TradeOff[],
  axis: TradeOffAxis,
  { width, height }: { readonly width: number; readonly height: number },
): TradeOffPlot {
  const [low, high, step] = rangeOf(tradeOffs, axis);
  const highestBytes = 1.04 * Math.max(...tradeOffs.map(({ peakBytes }) => peakBytes));
  const x = linearScale([0, highestBytes], [0, width]);
  const yOf = linearScale([low, high], [height, 0]);
  const y: Scale = (value) => Math.min(height, Math.max(0, yOf(value)));
  const at = (tradeOff: TradeOff): readonly [number, number] => [
    x(tradeOff.peakBytes),
    y(valueOf(axis, tradeOff)),
  ];
  const yTicks = ticks(low, high, Math.round((high - low) / step));
  const grid = yTicks.map((value) =>
    element('line', { x1: 0, x2: width, y1: y(value), y2: y(value), class: 'rule', ...sameWidth }),
  );
  // Those of the front are drawn last, on top of what they beat.
  const dots = tradeOffs
    .toSorted((a, b) => Number(a.isOnFront) - Number(b.isOnFront))
    .map((tradeOff) => dot(at(tradeOff), tradeOff));
  return {
    title: titles[axis],
    shapes: [...grid, frontLine(tradeOffs, axis, at), ...dots].join(''),
    xLabels: byteTicks(highestBytes, 5).map(({ value, label }) => ({ at: value / highestBytes, label })),
    yLabels: yTicks.map((value) => ({ at: (value - low) / (high - low), label: String(value) })),
    marks: tradeOffs.map((tradeOff) => {
      const [left, top] = at(tradeOff);
      return { tradeOff, x: left / width, y: 1 - top / height };
    }),
    beyond: tradeOffs.filter((tradeOff) => valueOf(axis, tradeOff) > high || valueOf(axis, tradeOff) < low),
  };
}

/** The ends of the vertical axis, and the step of its labels. */
function rangeOf(tradeOffs: readonly TradeOff[], axis: TradeOffAxis): readonly [number, number, number] {
  const values = tradeOffs.filter(isNearDense).map((tradeOff) => valueOf(axis, tradeOff));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const step = tickStep(least, most, 5);
  const low = step * Math.floor(least / step + 1e-9);
  return [low, Math.max(low + step, step * Math.ceil(most / step - 1e-9)), step];
}

function frontLine(
  tradeOffs: readonly TradeOff[],
  axis: TradeOffAxis,
  at: (tradeOff: TradeOff) => readonly [number, number],
): string {
  const sign = axis === 'loss' ? 1 : -1;
  const front = paretoFront(tradeOffs.filter(isNearDense), (one) => [
    one.peakBytes,
    sign * valueOf(axis, one),
  ])
    .map(at)
    .toSorted(([a], [b]) => a - b);
  const steps = front.flatMap((point, index): (readonly [number, number])[] => {
    const before = front[index - 1];
    return before === undefined ? [point] : [[point[0], before[1]], point];
  });
  return path(steps, { fill: 'none', stroke: 'var(--good)', 'stroke-width': 1.5, ...sameWidth });
}

/** The least square that shows a policy: round, square, or a ring. */
const caps: Readonly<Record<RecomputePolicy, 'round' | 'square'>> = {
  none: 'round',
  cheap: 'square',
  layer: 'round',
};

type Mark = Pick<TradeOff, 'variant' | 'isOnFront' | 'recompute'>;

/** What shapes and colours mean; the last says what numbers are given to. */
export const markKeys: readonly (readonly [Mark, string])[] = [
  [{ variant: '', isOnFront: false, recompute: 'none' }, 'nothing rebuilt'],
  [{ variant: '', isOnFront: false, recompute: 'cheap' }, 'selective recompute'],
  [{ variant: '', isOnFront: false, recompute: 'layer' }, 'layer checkpointing'],
  [{ variant: denseMethod.variant, isOnFront: false, recompute: 'none' }, 'dense AdamW'],
  [{ variant: '', isOnFront: true, recompute: 'none' }, frontWords],
];

const tradeOffColour = ({ variant, isOnFront }: Mark): string => {
  if (variant === denseMethod.variant) return 'var(--series-0)';
  return isOnFront ? 'var(--good)' : 'var(--soft)';
};

/** A stroke without length is a dot that stays round, or square, where the plot is stretched. */
export function dot(place: readonly [number, number], tradeOff: Mark): string {
  const { recompute, isOnFront } = tradeOff;
  const size = isOnFront ? 12 : 9;
  const stroked = (stroke: string, strokeWidth: number): string =>
    path([place, place], {
      stroke,
      'stroke-width': strokeWidth,
      'stroke-linecap': caps[recompute],
      ...sameWidth,
    });
  const drawn = stroked(tradeOffColour(tradeOff), recompute === 'cheap' ? size - 2 : size);
  return recompute === 'layer' ? drawn + stroked('var(--ground)', size - 5) : drawn;
}

/** Lines keep their width where the plot is stretched. */
const sameWidth = { 'vector-effect': 'non-scaling-stroke' } as const;
