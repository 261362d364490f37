import type { RecomputePolicy } from '../../../compile/index.js';
import { denseMethod } from '../training/demo-recipe.js';
import type { Machine } from '../machine.js';
import type { QualityGrid, QualityResult, QualityRun } from './quality-sweep.js';
import type { StepCost } from './step-costs.js';

/** What `bench quality` found, as it is written to quality.json: its tables and pictures are made from this alone. */
export interface QualityReport {
  readonly type: 'bench-quality';
  readonly createdAt: string; // ISO 8601
  readonly machine: Machine;
  /** A preset, or options of a model as in a recipe. */
  readonly model: string | Readonly<Record<string, unknown>>;
  readonly numParameters: number;
  readonly corpus: string;
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly gradientAccumulationSteps: number;
  readonly dtype: 'f32' | 'bf16';
  readonly steps: number;
  readonly grid: Omit<QualityGrid, 'steps'> & { readonly variants: readonly string[] };
  readonly results: readonly QualityResult[];
  /** Methods of which no cell trained whole with every seed and stayed numbers. */
  readonly withoutResult: readonly string[];
  readonly runs: readonly QualityRun[];
  /** Of one micro-batch; dense training first. */
  readonly costs: readonly StepCost[];
}

/** A method with a recompute policy: what it has learnt for which memory and time. */
export interface TradeOff extends StepCost, QualityResult {
  readonly perplexity: number;
  /** Peak as a share of that of plain dense training. */
  readonly shareOfPlain: number;
  /** The same of dense training with selective recompute. */
  readonly shareOfSelective: number;
  /** Mean loss as a ratio to that of dense training; undefined where that has no result. */
  readonly lossOfDense: number | undefined;
  /** No other has both a lower peak and a lower loss; and the loss is not far above that of dense training. */
  readonly isOnFront: boolean;
  /** Holds no less than dense training with selective recompute, and has learnt no more. */
  readonly isWorseThanSelective: boolean;
}

/**
 * How far above the loss of dense training a method is still worth a place in a picture: adapters of random weights would
 * press all others into a line, and would be named for the smallest peaks.
 */
const highestOfDense = 1.1;

/** Whether a method has a place in a picture. */
export const isNearDense = ({ lossOfDense }: Pick<TradeOff, 'lossOfDense'>): boolean =>
  lossOfDense === undefined || lossOfDense <= highestOfDense;

export const frontWords = 'no other has both a lower peak and a lower loss (10 % above dense at most)';

export const recomputeWords: Readonly<Record<RecomputePolicy, string>> = {
  none: '',
  cheap: 'selective recompute',
  layer: 'layer checkpointing',
};

/** Trade-offs of the methods that have a result, the largest peak first. */
export function tradeOffs({ results, costs }: Pick<QualityReport, 'results' | 'costs'>): TradeOff[] {
  const [plain] = costs;
  const selective = costs.find((cost) => cost.variant === plain!.variant && cost.recompute === 'cheap')!;
  const denseLoss = results.find(({ variant }) => variant === denseMethod.variant)?.meanLoss;
  const points = costs.flatMap((cost) => {
    const result = results.find(({ variant }) => variant === cost.variant);
    return result === undefined ? [] : [{ ...result, ...cost }];
  });
  const weighed = points.map((point) => ({ ...point, lossOfDense: denseLoss && point.meanLoss / denseLoss }));
  const near = weighed.filter(isNearDense);
  const front = new Set(paretoFront(near, ({ peakBytes, meanLoss }) => [peakBytes, meanLoss]));
  return weighed
    .map((point): TradeOff => {
      const isSelective = point.variant === selective.variant && point.recompute === selective.recompute;
      const learntNoMore = denseLoss !== undefined && point.meanLoss >= denseLoss;
      return {
        ...point,
        perplexity: Math.exp(point.meanLoss),
        shareOfPlain: point.peakBytes / plain!.peakBytes,
        shareOfSelective: point.peakBytes / selective.peakBytes,
        isOnFront: front.has(point),
        isWorseThanSelective: !isSelective && learntNoMore && point.peakBytes >= selective.peakBytes,
      };
    })
    .toSorted((a, b) => b.peakBytes - a.peakBytes);
}

/** The points that no other beats: none is as low in both, and lower in one. */
export function paretoFront<Point>(
  points: readonly Point[],
  costsOf: (point: Point) => readonly [number, number],
): Point[] {
  return points.filter((point) => {
    const [x, y] = costsOf(point);
    return !points.some((other) => {
      const [otherX, otherY] = costsOf(other);
      return otherX <= x && otherY <= y && (otherX < x || otherY < y);
    });
  });
}

/** The name of a method with a recompute policy. */
export const tradeOffName = ({ variant, recompute }: Pick<TradeOff, 'variant' | 'recompute'>): string =>
  recompute === 'none' ? variant : `${variant}, ${recomputeWords[recompute]}`;

/** How it stands beside dense training with selective recompute, in words. */
export function besideSelective(tradeOff: TradeOff): string {
  const { variant, recompute, isWorseThanSelective, shareOfSelective } = tradeOff;
  if (variant === denseMethod.variant && recompute === 'cheap') return 'the baseline';
  if (isWorseThanSelective) return 'worse: holds no less and has learnt no more';
  return `${(100 * shareOfSelective).toFixed(0)} % of its bytes`;
}
