/**
 * How far a result may be from its float64 twin. Every number has its reason beside it; tightening is free.
 *
 * The yardstick is the naive fp32 computation (the twin with every operation rounded by Math.fround): ours may be at
 * most twice as far off at the worst element, plus the rounding of the result to its dtype, plus what the op is known
 * to need. Over a whole tensor the normalised mean squared error is held to the same yardstick, so that many small
 * errors cannot hide under one large allowance.
 */
import type { Tensor } from '../reference/index.js';

/** Relative error of storing a result: half a unit in the last place, and a little for a tie that falls elsewhere. */
export const storageError: Readonly<Record<string, number>> = {
  f32: 2 ** -24 * 1.01,
  bf16: 2 ** -8 * 1.01,
};

/**
 * Blocked sums run in another order than the naive loop: the naive error is that of one draw of roundings, which may be
 * lucky by a factor of two.
 */
export const naiveFactor = 2;

/** Error of ours that the naive computation does not have, relative to each value. */
export const relativeError: Readonly<Record<string, number>> = {
  // One rounding may fall elsewhere when products are fused with sums or factors are multiplied in another order.
  default: 4 * 2 ** -24,
  // Vector exp, log, tanh and erf are polynomials good to a few units in the last place; libm's are within one.
  transcendental: 16 * 2 ** -24,
};

export const transcendentalOps: ReadonlySet<string> = new Set([
  'attention',
  'attentionBackward',
  'cachedAttention',
  'crossEntropy',
  'crossEntropyBackward',
  'geglu',
  'gegluBackward',
  'gelu',
  'geluBackward',
  'linearCrossEntropy',
  'linearCrossEntropyBackward',
  'linearCrossEntropyInputBackward',
  'linearCrossEntropyRowsBackward',
  'linearCrossEntropyInt8',
  'linearCrossEntropyInt8Backward',
  'linearLogProbabilities',
  'linearLogProbabilitiesInputBackward',
  'linearLogProbabilitiesWeightBackward',
  'preferenceLoss',
  'preferenceLossBackward',
  'silu',
  'siluBackward',
  'swiglu',
  'swigluBackward',
  'tanh',
]);

export interface Comparison {
  /** Largest error over its allowance; at most 1 passes. */
  readonly worst: number;
  /** Element of the worst, what was found, what would be right. */
  readonly element: number;
  readonly found: number;
  readonly right: number;
}

/** Compares a result with the twin and the naive fp32 result. `absolute` is an allowance on top, in the result's unit. */
export function compare(
  found: Float64Array,
  { data: right }: Tensor,
  { data: naive }: Tensor,
  { dtype, op, absolute = 0 }: { dtype: string; op: string; absolute?: number },
): Comparison {
  let naiveError = 0;
  let [squaredError, squaredNaive, squares] = [0, 0, 0];
  for (let i = 0; i < right.length; i++) {
    const error = Math.abs(naive[i]! - right[i]!);
    if (!Number.isFinite(error)) continue;
    naiveError = Math.max(naiveError, error);
    squaredNaive += error ** 2;
    squares += right[i]! ** 2;
  }
  const relative =
    (storageError[dtype] ?? 0) + relativeError[transcendentalOps.has(op) ? 'transcendental' : 'default']!;
  let [worst, element] = [0, -1];
  for (let i = 0; i < right.length; i++) {
    const value = right[i]!;
    if (found[i] === value || (Number.isNaN(found[i]) && Number.isNaN(value))) continue;
    const error = Math.abs(found[i]! - value);
    const allowance = naiveFactor * naiveError + relative * Math.abs(value) + absolute;
    // An error that is not a number (NaN or infinity on one side only) is infinitely wrong.
    const ratio = Number.isFinite(error) ? error / Math.max(allowance, Number.MIN_VALUE) : Infinity;
    if (ratio > worst) [worst, element] = [ratio, i];
    if (Number.isFinite(error)) squaredError += error ** 2;
  }
  const allowed =
    naiveFactor * Math.sqrt(squaredNaive) +
    relative * Math.sqrt(squares) +
    absolute * Math.sqrt(right.length);
  worst = Math.max(worst, Math.sqrt(squaredError) / Math.max(allowed, Number.MIN_VALUE));
  return { worst, element, found: found[element]!, right: right[element]! };
}
