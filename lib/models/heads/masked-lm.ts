// The head of a masked language model: each hidden token is predicted from its place's state, by a dense layer with GELU and
// a norm, the embedding table, and a bias for every token of the vocabulary. Logits exist for all tokens of a batch.
import {
  batchInput,
  bias,
  cast,
  crossEntropy,
  gelu,
  matmul,
  scalar,
  selectRow,
  type BatchField,
  type BuildOptions,
  type Graph,
  type Value,
  type WeightMap,
} from '../../graph/index.js';
import type { MaskedHeadNames } from '../encoder/facts.js';
import type { EncoderParts } from '../encoder/parts.js';
import { denseWeights, normWeights } from '../encoder/stored-parts.js';

/** What the head has to know of its model. */
export interface MaskedHead {
  readonly parts: EncoderParts;
  /** The embedding table (vocabulary, hidden), which is the head's weight. */
  readonly table: Value;
  readonly names: MaskedHeadNames;
}

/** The ids that are to be predicted; `ignoreIndex` where nothing is. Read for a loss only. */
export const maskedFields = (numIds: number): readonly BatchField[] => [
  { name: 'targets', dtype: 'i32', shape: ['batchSize', 'sequenceLength'], numIds },
];

/** The head's parameters in files. */
export const maskedWeights = ({ dense, norm, bias: vector, tiedBias }: MaskedHeadNames): WeightMap => [
  ...denseWeights(dense),
  ...normWeights(norm),
  { parameter: vector, tensor: vector, layout: 'same', tiedTensors: [tiedBias] },
];

/** Where files may hold the embedding table once more. */
export const tiedTableTensors = ({ tiedWeight }: MaskedHeadNames): readonly string[] => [tiedWeight];

/** The loss, summed over the targets that count and times `lossScale`; to predict, all logits; to generate, those of a row (1, vocabulary). */
export function maskedHead(
  graph: Graph,
  states: Value,
  { parts, table, names }: MaskedHead,
  options: BuildOptions,
): Value {
  const [vocabulary, width] = table.shape as [number, number];
  const logits = (rows: Value): Value => {
    const dense = parts.dense(rows, { prefix: names.dense, outputs: width, role: 'linear' });
    const transformed = parts.norm(gelu(dense), names.norm);
    const product = matmul(transformed, table, { transposeB: true, kind: 'logits', name: 'logits' });
    return bias(product, parts.vector(names.bias, vocabulary, 0));
  };
  if (options.purpose === 'predict') return cast(logits(states), 'f32', 'logits');
  if (options.purpose === 'generate') return cast(logits(selectRow(states, scalar('row'))), 'f32', 'logits');
  const targets = batchInput(graph, maskedFields(vocabulary)[0]!, options);
  return crossEntropy(logits(states), targets, { lossScale: scalar('lossScale') });
}
