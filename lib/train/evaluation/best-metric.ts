import { labelField, referenceField } from '../../data/records/index.js';
import type { BatchField } from '../../graph/index.js';
import type { EvaluateReport } from '../options/types.js';
import { labelMetrics } from './metrics/label-metrics.js';

/** What evaluations of a run can be compared by: the loss, of which less is better, and metrics, of which more is. */
export const bestModelMetrics = [
  'loss',
  'accuracy',
  'f1',
  'macroF1',
  'microF1',
  'matthewsCorrelation',
  'pearsonCorrelation',
  'spearmanCorrelation',
  'rewardsAccuracy',
  'rewardsMargin',
] as const;
/** Name of a measure that evaluations are compared by. */
export type BestModelMetric = (typeof bestModelMetrics)[number];

/** Those that evaluations measure of a model that reads these fields. */
export function measuredMetrics(batchFields: readonly BatchField[]): readonly string[] {
  const field = labelField(batchFields);
  if (referenceField(batchFields) !== undefined) return ['loss', 'rewardsAccuracy', 'rewardsMargin'];
  return ['loss', ...(field === undefined ? [] : Object.keys(labelMetrics(field)))];
}

export const valueOf = ({ loss, metrics = {} }: EvaluateReport, metric: BestModelMetric): number =>
  metric === 'loss' ? loss : metrics[metric]!;

/** Whether a value is better than the best before it; of the first it is enough that it is finite. */
export function isBetter(metric: BestModelMetric, value: number, best: number | undefined): boolean {
  if (best === undefined) return Number.isFinite(value);
  return metric === 'loss' ? value < best : value > best;
}
