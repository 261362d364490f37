import type { Rope } from './rope-scaling.js';

/** The linear layers of a decoder's layer. */
export type LinearName = 'query' | 'key' | 'value' | 'output' | 'gate' | 'up' | 'down';

/** What a decoder computes, in one form for all architectures that are put together of the same parts. */
export interface DecoderFacts {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  /** Features of one attention head; all heads together may be wider or narrower than the model. */
  readonly headSize: number;
  readonly rope: Rope;
  readonly rmsNormEps: number;
  readonly tieWordEmbeddings: boolean;
  readonly initializerRange: number;
  /** The linear layers that add a bias. */
  readonly biased: readonly LinearName[];
  /** The gate of the feed-forward layer; `gelu` in its tanh form. */
  readonly activation: 'silu' | 'gelu';
  /** What attention and the feed-forward layer give is normed once more before it is added. */
  readonly hasPostNorms: boolean;
  /** Added to the weights of norms: 1 where they are stored as what they differ from 1 by. */
  readonly normWeightOffset: 0 | 1;
  /** Embeddings are multiplied by the root of the width. */
  readonly scalesEmbedding: boolean;
  /** What scores of attention are multiplied by; undefined: 1 / sqrt(headSize). */
  readonly scoreScale: number | undefined;
  /** Soft caps of scores and of logits; undefined: none. */
  readonly scoreSoftCap: number | undefined;
  readonly logitSoftCap: number | undefined;
  /** Queries and keys are normed, each head by itself, before they are rotated. */
  readonly hasQueryKeyNorm: boolean;
  /** Tokens that a token sees, itself included, in one layer after another, and again from the first; undefined: all before it. */
  readonly slidingWindows: readonly (number | undefined)[];
}

/** What LLaMA computes, from which other architectures differ. */
export const plainFacts = {
  biased: [],
  activation: 'silu',
  hasPostNorms: false,
  normWeightOffset: 0,
  scalesEmbedding: false,
  scoreScale: undefined,
  scoreSoftCap: undefined,
  logitSoftCap: undefined,
  hasQueryKeyNorm: false,
  slidingWindows: [undefined],
} as const satisfies Partial<DecoderFacts>;

/** The facts by which architectures differ. */
export type OwnFacts = Partial<Pick<DecoderFacts, keyof typeof plainFacts>>;

/** Input and output features of each linear layer. */
export function linearShapes(facts: DecoderFacts): Readonly<Record<LinearName, readonly [number, number]>> {
  const { hiddenSize, intermediateSize, headSize } = facts;
  const [heads, keyValues] = [facts.numAttentionHeads * headSize, facts.numKeyValueHeads * headSize];
  return {
    query: [hiddenSize, heads],
    key: [hiddenSize, keyValues],
    value: [hiddenSize, keyValues],
    output: [heads, hiddenSize],
    gate: [hiddenSize, intermediateSize],
    up: [hiddenSize, intermediateSize],
    down: [intermediateSize, hiddenSize],
  };
}

export function countParameters(facts: DecoderFacts): number {
  const { hiddenSize, headSize, numHiddenLayers, vocabSize } = facts;
  const shapes = linearShapes(facts);
  const weights = Object.values(shapes).map(([inputs, outputs]) => inputs * outputs);
  const biases = facts.biased.map((name) => shapes[name][1]);
  const norms = (facts.hasPostNorms ? 4 : 2) * hiddenSize + (facts.hasQueryKeyNorm ? 2 * headSize : 0);
  const layer = [...weights, ...biases].reduce((sum, count) => sum + count, norms);
  return vocabSize * hiddenSize * (facts.tieWordEmbeddings ? 1 : 2) + numHiddenLayers * layer + hiddenSize;
}
