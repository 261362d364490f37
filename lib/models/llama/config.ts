import { compactError, nearestName } from '../../errors.js';
import {
  checkOptions,
  flag,
  numberAbove,
  optional,
  ownValues,
  shown,
  wholeNumber,
  type OptionTable,
} from '../../options.js';
import { llamaPresets } from './presets.js';

/** The shape of a LLaMA-like model, in the words of Hugging Face's config.json. */
export interface LlamaConfig {
  /** Token ids. */
  readonly vocabSize: number;
  /** Width of the model; half of it divided evenly by the attention heads. */
  readonly hiddenSize: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  /** Layers. */
  readonly numHiddenLayers: number;
  /** Attention heads. */
  readonly numAttentionHeads: number;
  /** Fewer than the attention heads: grouped-query attention. Default: as many. */
  readonly numKeyValueHeads?: number;
  /** Longest sequence. Default 2048. */
  readonly maxPositionEmbeddings?: number;
  /** Added to the mean square in norms. Default 1e-6. */
  readonly rmsNormEps?: number;
  /** Base of the rotary positions' wave lengths. Default 10000. */
  readonly ropeTheta?: number;
  /** The head is the embedding table, transposed. Default false. */
  readonly tieWordEmbeddings?: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly initializerRange?: number;
}

/**
 * Above every model that is known, and small enough that anything within can be planned in seconds and counted
 * without rounding.
 */
const bounds = { vocabulary: 2 ** 24, width: 2 ** 20, layers: 256, heads: 2 ** 12, positions: 2 ** 31 - 1 };

export const llamaTable = {
  vocabSize: wholeNumber(1, bounds.vocabulary),
  hiddenSize: wholeNumber(1, bounds.width),
  intermediateSize: wholeNumber(1, bounds.width),
  numHiddenLayers: wholeNumber(1, bounds.layers),
  numAttentionHeads: wholeNumber(1, bounds.heads),
  numKeyValueHeads: optional(wholeNumber(1, bounds.heads)),
  maxPositionEmbeddings: optional(wholeNumber(1, bounds.positions), 2048),
  rmsNormEps: optional(numberAbove(0), 1e-6),
  ropeTheta: optional(numberAbove(0), 10000),
  tieWordEmbeddings: optional(flag, false),
  initializerRange: optional(numberAbove(0), 0.02),
} satisfies OptionTable<LlamaConfig>;

/**
 * The configuration behind a preset's name or a partial configuration, complete and checked.
 * @throws ERR_COMPACT_MODEL_UNKNOWN for an unknown preset, ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY,
 *   ERR_COMPACT_CONFIG_VALUE
 */
export function resolveLlamaConfig(
  model: string | LlamaConfig,
  overrides: Partial<LlamaConfig> = {},
): Required<LlamaConfig> {
  const context = { what: 'a LLaMA configuration' };
  const base = typeof model === 'string' ? preset(model) : model;
  const given = new Map([...ownValues(base, context), ...ownValues(overrides, context)]);
  const checked = checkOptions(Object.fromEntries(given), llamaTable, context);
  const config = { ...checked, numKeyValueHeads: checked.numKeyValueHeads ?? checked.numAttentionHeads };
  const { hiddenSize, numAttentionHeads: heads, numKeyValueHeads: kvHeads } = config;
  requireDivisor('numAttentionHeads', heads, hiddenSize / 2, `half of ${hiddenSize} divided evenly by it`);
  requireDivisor('numKeyValueHeads', kvHeads, heads, `a divisor of the ${heads} attention heads`);
  return config;
}

function preset(name: string): LlamaConfig {
  const names = Object.keys(llamaPresets);
  if (Object.hasOwn(llamaPresets, name)) return llamaPresets[name as keyof typeof llamaPresets];
  const nearest = nearestName(name, names);
  throw compactError('ERR_COMPACT_MODEL_UNKNOWN', `unknown model ${shown(name)}`, {
    op: 'preset',
    expected: `one of ${names.join(', ')}`,
    received: shown(name),
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}

function requireDivisor(key: keyof LlamaConfig, divisor: number, of: number, expected: string): void {
  if (of % divisor === 0) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${key} is not possible`, {
    op: key,
    expected,
    received: String(divisor),
  });
}

/** Features of one attention head. */
export const headSizeOf = ({ hiddenSize, numAttentionHeads }: LlamaConfig): number =>
  hiddenSize / numAttentionHeads;

export function countParameters(config: Required<LlamaConfig>): number {
  const { hiddenSize: hidden, intermediateSize, vocabSize, numHiddenLayers, tieWordEmbeddings } = config;
  const keyValueWidth = config.numKeyValueHeads * headSizeOf(config);
  const layer = 2 * hidden * hidden + 2 * hidden * keyValueWidth + 3 * hidden * intermediateSize + 2 * hidden;
  return vocabSize * hidden * (tieWordEmbeddings ? 1 : 2) + numHiddenLayers * layer + hidden;
}
