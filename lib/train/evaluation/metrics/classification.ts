import { compactError } from '../../../errors.js';

/*
 * Measures of predicted classes against the right ones, as scikit-learn defines them. Lists hold whole numbers from 0 and
 * are of one length, which is not 0.
 */

/** The share of predictions that are right, from 0 to 1. */
export function accuracy(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  requirePairs(predictions, labels);
  return countWhere(predictions, labels, (prediction, label) => prediction === label) / labels.length;
}

/**
 * F1 of one class: the harmonic mean of precision and recall, from 0 to 1; 0 where the class is neither right nor
 * predicted anywhere.
 * @param positive the class. Default 1
 */
export function f1(predictions: ArrayLike<number>, labels: ArrayLike<number>, positive = 1): number {
  requirePairs(predictions, labels);
  const hits = countWhere(predictions, labels, (a, b) => a === positive && b === positive);
  const misses = countWhere(predictions, labels, (a, b) => (a === positive) !== (b === positive));
  return hits + misses === 0 ? 0 : (2 * hits) / (2 * hits + misses);
}

/** The mean of F1 over all classes that are right or predicted somewhere, each with one vote. */
export function macroF1(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  requirePairs(predictions, labels);
  const classes = [...new Set([...Array.from(predictions), ...Array.from(labels)])];
  return classes.reduce((sum, label) => sum + f1(predictions, labels, label), 0) / classes.length;
}

/**
 * The correlation coefficient of Matthews for any number of classes (Gorodkin, "Comparing two K-category assignments by a
 * K-category correlation coefficient", 2004), from -1 to 1; 0 where all predictions or all labels are one class.
 */
export function matthewsCorrelation(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  requirePairs(predictions, labels);
  const count = labels.length;
  const [predicted, right] = [countsOf(predictions), countsOf(labels)];
  const correct = countWhere(predictions, labels, (prediction, label) => prediction === label);
  const products = (a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): number =>
    [...a].reduce((sum, [label, times]) => sum + times * (b.get(label) ?? 0), 0);
  const covariance = correct * count - products(predicted, right);
  const variances = (count ** 2 - products(predicted, predicted)) * (count ** 2 - products(right, right));
  return variances === 0 ? 0 : covariance / Math.sqrt(variances);
}

function countsOf(classes: ArrayLike<number>): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const label of Array.from(classes)) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

const countWhere = (
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  isCounted: (prediction: number, label: number) => boolean,
): number =>
  Array.from(predictions).reduce((sum, prediction, i) => sum + Number(isCounted(prediction, labels[i]!)), 0);

/** @throws ERR_COMPACT_ARGUMENT for lists of other lengths, and for empty ones */
export function requirePairs(predictions: ArrayLike<number>, labels: ArrayLike<number>): void {
  if (labels.length > 0 && predictions.length === labels.length) return;
  throw compactError('ERR_COMPACT_ARGUMENT', 'a metric needs a prediction for each label', {
    op: 'predictions',
    expected: labels.length > 0 ? `${labels.length} predictions` : 'at least one label',
    received: `${predictions.length} predictions for ${labels.length} labels`,
  });
}
