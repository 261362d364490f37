import type { BatchField } from '../../../graph/index.js';
import { accuracy, f1, macroF1, matthewsCorrelation } from './classification.js';
import { pearsonCorrelation, spearmanCorrelation } from './regression.js';

/** A measure of predictions against labels; of all of them more is better. */
export type LabelMetric = (predictions: ArrayLike<number>, labels: ArrayLike<number>) => number;

/**
 * What is measured of predicted labels, by name: of numbers correlations, of classes what scikit-learn has, `f1` (of class 1)
 * for two classes only.
 * @param field that the model reads labels from
 */
export const labelMetrics = ({
  dtype,
  numIds,
}: Pick<BatchField, 'dtype' | 'numIds'>): Readonly<Record<string, LabelMetric>> =>
  dtype === 'f32'
    ? { pearsonCorrelation, spearmanCorrelation }
    : { accuracy, macroF1, matthewsCorrelation, ...(numIds === 2 && { f1 }) };
