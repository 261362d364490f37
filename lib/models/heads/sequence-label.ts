// The head that gives numbers for a sequence, from the state of its first token: a dense layer with tanh (BERT's pooler), and
// another one to the logits of classes, or to one number.
import {
  batchInput,
  cast,
  crossEntropy,
  firstRows,
  givesLoss,
  matmul,
  reshape,
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
 * The label of each sequence: its class, `ignoreIndex` where it counts for nothing; of each class 1 where it is one of the
 * sequence's, else 0; or its number, NaN where it counts for nothing. Read for a loss only.
 */
export function labelFields({ task, numLabels }: LabelHead['config']): readonly [BatchField] {
  const name = 'labels';
  if (task === 'regression') return [{ name, dtype: 'f32', shape: ['batchSize'] }];
  return task === 'multi-label-classification'
    ? [{ name, dtype: 'i32', shape: ['batchSize', numLabels!], numIds: 2 }]
    : [{ name, dtype: 'i32', shape: ['batchSize'], numIds: numLabels }];
}

const noAndYesName = 'labels.noAndYes';

/** What a model for several classes at once has to be given beside its weights. */
export const labelConstants = ({ task }: LabelHead['config']): Readonly<Record<string, Float32Array>> =>
  task === 'multi-label-classification' ? { [noAndYesName]: Float32Array.of(0, 1) } : {};

/**
 * A logit z of each class as the logits (0, z) of no and yes, (sequences * classes, 2): their cross-entropy is that of
 * sigmoid(z).
 */
function noAndYes(graph: Graph, logits: Value): Value {
  const [sequences, classes] = logits.shape as [number, number];
  const column = reshape(cast(logits, 'f32'), [sequences * classes, 1]);
  return matmul(column, graph.state(noAndYesName, [1, 2], 'f32', 'input'), { kind: 'logits' });
}

/** The head's parameters in files, which those of a body or of another task do not have. */
export const labelWeights = ({ dense, output }: LabelHeadNames): WeightMap =>
  [...denseWeights(dense), ...denseWeights(output)].map((stored) => ({ ...stored, isOwnHead: true }));

/**
 * The loss, summed over the labels that count and times `lossScale`: cross-entropy, of several classes at once that of each by
 * itself, or the squared error. Else the
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
  if (config.task === 'regression') return squaredError(logits, labels, { lossScale });
  const told = config.task === 'multi-label-classification' ? noAndYes(graph, logits) : logits;
  return crossEntropy(told, labels, { lossScale });
}
