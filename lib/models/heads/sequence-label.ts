// The head that gives numbers for a sequence, from the state of its first token: a dense layer with tanh (BERT's pooler), and
// another one to the logits of classes, or to one number.
import {
  batchInput,
  cast,
  crossEntropy,
  firstRows,
  givesLoss,
  scalar,
  squaredError,
  tanh,
  type BatchField,
  type BuildOptions,
  type Graph,
  type Value,
  type WeightMap,
} from '../../graph/index.js';
import type { Resolved } from '../encoder/config.js';
import type { LabelHeadNames } from '../encoder/facts.js';
import type { EncoderParts } from '../encoder/parts.js';
import { denseWeights } from '../encoder/stored-parts.js';

/** What the head has to know of its model. */
export interface LabelHead {
  readonly parts: EncoderParts;
  readonly config: Pick<Resolved, 'task' | 'numLabels'>;
  readonly names: LabelHeadNames;
}

/**
 * The label of each sequence: its class, `ignoreIndex` where it counts for nothing; or its number, then NaN. Read for a
 * loss only.
 */
export const labelFields = ({ task, numLabels }: LabelHead['config']): readonly [BatchField] => [
  task === 'regression'
    ? { name: 'labels', dtype: 'f32', shape: ['batchSize'] }
    : { name: 'labels', dtype: 'i32', shape: ['batchSize'], numIds: numLabels },
];

/** The head's parameters in files, which those of a body or of another task do not have. */
export const labelWeights = ({ dense, output }: LabelHeadNames): WeightMap =>
  [...denseWeights(dense), ...denseWeights(output)].map((stored) => ({ ...stored, isOwnHead: true }));

/**
 * The loss, summed over the labels that count and times `lossScale`: cross-entropy, or the squared error. Else the
 * logits (sequences, classes), or the numbers (sequences, 1).
 */
export function labelHead(
  graph: Graph,
  states: Value,
  { parts, config, names }: LabelHead,
  options: BuildOptions,
): Value {
  const first = firstRows(states, options.batchSize);
  const width = first.shape[1]!;
  const pooled = tanh(parts.dense(first, { prefix: names.dense, outputs: width, role: 'linear' }));
  const outputs = config.numLabels ?? 1;
  const logits = parts.dense(pooled, { prefix: names.output, outputs, role: 'linear' });
  if (!givesLoss(options)) return cast(logits, 'f32', 'logits');
  const labels = batchInput(graph, labelFields(config)[0], options);
  const lossScale = scalar('lossScale');
  return config.task === 'regression'
    ? squaredError(logits, labels, { lossScale })
    : crossEntropy(logits, labels, { lossScale });
}
