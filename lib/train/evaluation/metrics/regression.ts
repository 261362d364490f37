import { requirePairs } from './classification.js';

/**
 * The correlation coefficient of Pearson, from -1 to 1; NaN where all numbers of a list are equal.
 * @throws ERR_COMPACT_ARGUMENT for lists of other lengths, and for empty ones
 */
export function pearsonCorrelation(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  requirePairs(predictions, labels);
  const [a, b] = [centred(predictions), centred(labels)];
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  // Each length by itself: the product of both sums of squares may be beyond the range of numbers.
  return dot(a, b) / (Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b)));
}

/** The correlation coefficient of Spearman: that of Pearson of the ranks, equal numbers sharing the mean of theirs. */
export const spearmanCorrelation = (predictions: ArrayLike<number>, labels: ArrayLike<number>): number =>
  pearsonCorrelation(ranksOf(predictions), ranksOf(labels));

function centred(values: ArrayLike<number>): readonly number[] {
  const numbers = Array.from(values);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  return numbers.map((value) => value - mean);
}

function ranksOf(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (value, index) => ({ value, index })).sort((a, b) => a.value - b.value);
  const ranks = new Float64Array(order.length);
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && order[end]!.value === order[first]!.value) end++;
    for (const { index } of order.slice(first, end)) ranks[index] = (first + end - 1) / 2;
    first = end;
  }
  return ranks;
}
