import { labelField } from '../../data/records/index.js';
import type { BatchField } from '../../graph/index.js';
import type { RunData } from '../../data/index.js';
import type { Engine } from '../../runtime/index.js';
import { compactError } from '../../errors.js';
import { LabelPredictions } from './metrics/label-predictions.js';
import { PreferenceMetrics } from './metrics/preference-metrics.js';
import type { EvaluateReport } from '../options/types.js';

/**
 * Mean loss of the held-out sequences, or of the first `limit` of them in their fixed order, with the perplexity of tokens,
 * metrics of labels, or what preference pairs come to.
 * @throws ERR_COMPACT_DATA_EMPTY without held-out data, ERR_COMPACT_ABORTED
 */
export async function evaluateLoss(
  engine: Pick<Engine, 'run'>,
  dataset: Pick<RunData, 'validationBatch' | 'numValidationSequences'>,
  options: {
    readonly step: number;
    /** What the model reads of a batch. */
    readonly batchFields: readonly BatchField[];
    readonly batchSize: number;
    /** Of the entry `generate`, which tells what is predicted of labelled sequences. Default 1. */
    readonly generateBatchSize?: number;
    readonly limit?: number;
    /** Of a model that learns preferences. */
    readonly preference?: { readonly beta: number };
    readonly signal?: AbortSignal;
  },
): Promise<EvaluateReport> {
  const { step, batchFields, batchSize, generateBatchSize = 1, limit = Infinity } = options;
  const { preference, signal } = options;
  const start = performance.now();
  const count = Math.min(dataset.numValidationSequences, limit);
  const field = labelField(batchFields);
  const predictions = field && new LabelPredictions(engine, field, generateBatchSize);
  const preferences = new PreferenceMetrics(preference);
  let sum = 0;
  let numTokens = 0;
  let next = dataset.validationBatch(0, batchSize, limit);
  for (let first = 0; first < count; first += batchSize) {
    const batch = await next;
    const running = engine.run('evaluate', { inputs: batch.inputs, scalars: { lossScale: 1 }, signal });
    if (first + batchSize < count) next = dataset.validationBatch(first + batchSize, batchSize, limit);
    const [, { outputs }] = await Promise.all([next, running]);
    sum += outputs['loss']![0]!;
    numTokens += batch.numCountedTokens;
    await predictions?.add(batch, signal);
    preferences.add(batch, outputs);
  }
  if (numTokens === 0)
    throw compactError('ERR_COMPACT_DATA_EMPTY', 'there is no held-out data to evaluate on', {
      op: 'data',
      remedy: 'Give `validation` files, or a larger `validationFraction`',
    });
  const loss = sum / numTokens;
  const metrics = predictions?.metrics ?? preferences.metrics;
  const durationMs = performance.now() - start;
  const measured = metrics === undefined ? { perplexity: Math.exp(loss) } : { metrics };
  return { step, loss, ...measured, numTokens, durationMs };
}
