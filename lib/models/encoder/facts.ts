import type { Resolved } from './config.js';

/** What an encoder computes, in one form for the architectures that share its body. */
export interface EncoderFacts {
  readonly config: Resolved;
  /** What names of the body's tensors begin with, e.g. `bert.`. */
  readonly bodyPrefix: string;
  /** Rows of the table of positions in front of that of the first token. */
  readonly positionOffset: number;
  readonly heads: HeadNames;
  /** What names of tensors begin with of poolers and of heads that are in no model here. */
  readonly unusedModules: readonly string[];
}

/** Names of the heads' modules in files. */
export interface HeadNames {
  readonly masked: MaskedHeadNames;
  readonly label: LabelHeadNames;
}

/** Of the head that predicts hidden tokens; its weight is the embedding table. */
export interface MaskedHeadNames {
  readonly dense: string;
  readonly norm: string;
  readonly bias: string;
  /** Where files may hold the tied weight and the bias once more. */
  readonly tiedWeight: string;
  readonly tiedBias: string;
}

/** Of the head that gives numbers for a sequence: the layer before them, and their own. */
export interface LabelHeadNames {
  readonly dense: string;
  readonly output: string;
}

/** The longest sequence that has positions. */
export const longestSequence = ({ config, positionOffset }: EncoderFacts): number =>
  config.maxPositionEmbeddings - positionOffset;

/** Numbers that the head gives for a sequence; undefined: it predicts tokens. */
export const numOutputs = ({ config }: Pick<EncoderFacts, 'config'>): number | undefined =>
  ({
    'masked-lm': undefined,
    'sequence-classification': config.numLabels,
    'multi-label-classification': config.numLabels,
    regression: 1,
  })[config.task];

/** What names of tensors begin with that belong to heads which this model does not have. */
export function otherHeads(facts: EncoderFacts): readonly string[] {
  const { masked, label } = facts.heads;
  const isMasked = numOutputs(facts) === undefined;
  return [...facts.unusedModules, ...(isMasked ? Object.values(label) : Object.values(masked))] as string[];
}

export function countParameters(facts: EncoderFacts): number {
  const { vocabSize, hiddenSize: width, intermediateSize, numHiddenLayers } = facts.config;
  const { maxPositionEmbeddings, typeVocabSize } = facts.config;
  const embeddings = (vocabSize + maxPositionEmbeddings + typeVocabSize) * width + 2 * width;
  const dense = width * width + width;
  const layer = 4 * dense + 2 * width * intermediateSize + intermediateSize + width + 4 * width;
  const outputs = numOutputs(facts);
  const head = outputs === undefined ? 2 * width + vocabSize : width * outputs + outputs;
  return embeddings + numHiddenLayers * layer + dense + head;
}
