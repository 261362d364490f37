import { classesAtOnce } from '../../../data/records/labelled-batch.js';
import type { BatchField } from '../../../graph/index.js';
import { accuracy, f1, macroF1, matthewsCorrelation } from './classification.js';
import { exactLabels, meanF1 } from './multi-label.js';
import { pearsonCorrelation, spearmanCorrelation } from './regression.js';

/** A measure of predictions against labels; of all of them more is better. */
export type LabelMetric = (predictions: ArrayLike<number>, labels: ArrayLike<number>) => number;

/**
 * What is measured of predicted labels, by name: of numbers correlations, of classes what scikit-learn has, `f1` (of class 1)
 * for two classes only.
 * @param field that the model reads labels from
 */
export function labelMetrics(field: BatchField): Readonly<Record<string, LabelMetric>> {
  if (field.dtype === 'f32') return { pearsonCorrelation, spearmanCorrelation };
  const numClasses = classesAtOnce(field);
  if (numClasses === undefined)
    return { accuracy, macroF1, matthewsCorrelation, ...(field.numIds === 2 && { f1 }) };
  return {
    accuracy: (predictions, labels) => exactLabels(predictions, labels, numClasses),
    macroF1: (predictions, labels) => meanF1(predictions, labels, numClasses),
    microF1: (predictions, labels) => f1(predictions, labels),
  };
}
