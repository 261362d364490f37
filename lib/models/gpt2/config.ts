import {
  checkOptions,
  flag,
  numberAbove,
  optional,
  ownValues,
  wholeNumber,
  type OptionTable,
} from '../../options.js';
import { compactError } from '../../errors.js';
import { bounds } from '../decoder/config.js';

/** The shape of a GPT-2, in the words of Hugging Face's config.json. */
export interface Gpt2Config {
  /** Token ids. */
  readonly vocabSize: number;
  /** Longest sequence: rows of the table of positions. Default 1024. */
  readonly nPositions?: number;
  /** Width of the model. */
  readonly nEmbd: number;
  /** Layers. */
  readonly nLayer: number;
  /** Attention heads. */
  readonly nHead: number;
  /** Width of the feed-forward layer. Default: four times the width of the model. */
  readonly nInner?: number;
  /** Added to the variance in norms. Default 1e-5. */
  readonly layerNormEpsilon?: number;
  /** The head is the embedding table, transposed. Default true. */
  readonly tieWordEmbeddings?: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly initializerRange?: number;
}

export const gpt2Table = {
  vocabSize: wholeNumber(1, bounds.vocabulary),
  nPositions: optional(wholeNumber(1, bounds.vocabulary), 1024),
  nEmbd: wholeNumber(1, bounds.width),
  nLayer: wholeNumber(1, bounds.layers),
  nHead: wholeNumber(1, bounds.heads),
  nInner: optional(wholeNumber(1, bounds.width)),
  layerNormEpsilon: optional(numberAbove(0), 1e-5),
  tieWordEmbeddings: optional(flag, true),
  initializerRange: optional(numberAbove(0), 0.02),
} satisfies OptionTable<Gpt2Config>;

/**
 * A configuration, complete and checked.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function resolveGpt2Config(given: object, overrides: object): Required<Gpt2Config> {
  const context = { what: 'a GPT-2 configuration' };
  const values = new Map([...ownValues(given, context), ...ownValues(overrides, context)]);
  const config = checkOptions(Object.fromEntries(values), gpt2Table, context);
  const { nEmbd, nHead, nInner = 4 * nEmbd } = config;
  if (nEmbd % nHead !== 0)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'nHead is not possible', {
      op: 'nHead',
      expected: `a divisor of the width ${nEmbd}`,
      received: String(nHead),
    });
  return { ...config, nInner };
}

export function countParameters(config: Required<Gpt2Config>): number {
  const { vocabSize, nPositions, nEmbd: width, nLayer, nInner, tieWordEmbeddings } = config;
  const attention = width * 3 * width + 3 * width + width * width + width;
  const layer = attention + 2 * width * nInner + nInner + width + 4 * width;
  return vocabSize * width * (tieWordEmbeddings ? 1 : 2) + nPositions * width + nLayer * layer + 2 * width;
}
