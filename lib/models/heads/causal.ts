// The head of a language model: each row of hidden states predicts the token that follows.
import {
  batchInput,
  givesLoss,
  linearCrossEntropy,
  linearLogProbabilities,
  matmul,
  preferenceLoss,
  scalar,
  softCap as capped,
  type BatchField,
  type BuildOptions,
  type Graph,
  type Value,
  type WeightMap,
} from '../../graph/index.js';
import type { HiddenStates } from './hidden-states.js';

/** What the head has to know of its model. */
export interface CausalHead {
  readonly vocabularySize: number;
  /** The embedding table (vocabulary, hidden) that is the head's weight; undefined: a weight of its own of that shape. */
  readonly tiedTable: Value | undefined;
  /** Standard deviation of the initial weight. */
  readonly initializerRange: number;
  /** Soft cap of the logits; undefined: none. */
  readonly logitSoftCap?: number;
}

const weightName = 'lm_head.weight';

const targets = (vocabularySize: number): BatchField => ({
  name: 'targets',
  dtype: 'i32',
  shape: ['batchSize', 'sequenceLength'],
  numIds: vocabularySize,
});

/**
 * The log-probability of each sequence of preference pairs under the reference, NaN where a pair counts for nothing. Read for
 * the loss of preferences only.
 */
export const referenceLogProbabilities: BatchField = {
  name: 'referenceLogProbabilities',
  dtype: 'f32',
  shape: ['batchSize'],
};

/** The ids that are to be predicted; `ignoreIndex` where nothing is. Read for a loss only. */
export const causalFields = (vocabularySize: number): readonly BatchField[] => [targets(vocabularySize)];

/** The head's own weight in files; a tied one is the body's. */
export const causalWeights = (isTied: boolean): WeightMap =>
  isTied ? [] : [{ parameter: weightName, tensor: weightName, layout: 'same' }];

/** Where files may hold the head's weight, if it is tied, once more. */
export const tiedHeadTensors: readonly string[] = [weightName];

/**
 * The loss, summed over the targets that count, or over preference pairs, and times `lossScale`; else the logits (tokens,
 * vocabulary).
 */
export function causalHead(
  graph: Graph,
  { states, norm }: HiddenStates,
  { vocabularySize, tiedTable, initializerRange, logitSoftCap }: CausalHead,
  options: BuildOptions,
): Value {
  const shape = [vocabularySize, states.shape[1]!];
  const weight =
    tiedTable ??
    graph.parameter(weightName, shape, options.dtype, {
      role: 'head',
      initializer: { type: 'normal', standardDeviation: initializerRange },
    });
  const rows = norm(states);
  if (!givesLoss(options)) {
    const named = { kind: 'logits', name: 'logits' } as const;
    const logits = matmul(rows, weight, { transposeB: true, dtype: 'f32', ...named });
    return logitSoftCap === undefined ? logits : capped(logits, logitSoftCap, named);
  }
  const { preference, sequenceLength, lossChunkTokens: chunkTokens } = options;
  const predicted = batchInput(graph, targets(vocabularySize), options);
  const lossScale = scalar('lossScale');
  const softCap = logitSoftCap;
  if (preference === undefined)
    return linearCrossEntropy(rows, weight, predicted, { lossScale, chunkTokens, softCap });
  const sizes = { sequenceLength, chunkTokens, softCap };
  const { logProbabilities } = linearLogProbabilities(rows, weight, predicted, sizes);
  const reference = batchInput(graph, referenceLogProbabilities, options);
  return preferenceLoss(logProbabilities, reference, { ...preference, lossScale });
}
