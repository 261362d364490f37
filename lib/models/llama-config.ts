import { compactError, nearestName } from '../errors.js';
import type { DType } from '../graph/index.js';
import { llamaPresets } from './presets.js';

/** The shape of a LLaMA-like model, in the words of Hugging Face's config.json. */
export interface LlamaConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Fewer than the attention heads: grouped-query attention. Default: as many. */
  readonly numKeyValueHeads?: number;
  /** Longest sequence. Default 2048. */
  readonly maxPositionEmbeddings?: number;
  /** Default 1e-6. */
  readonly rmsNormEps?: number;
  /** Default 10000. */
  readonly ropeTheta?: number;
  /** The head is the embedding table, transposed. Default false. */
  readonly tieWordEmbeddings?: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly initializerRange?: number;
}

const defaults = {
  maxPositionEmbeddings: 2048,
  rmsNormEps: 1e-6,
  ropeTheta: 10000,
  tieWordEmbeddings: false,
  initializerRange: 0.02,
} as const;

const required = [
  'vocabSize',
  'hiddenSize',
  'intermediateSize',
  'numHiddenLayers',
  'numAttentionHeads',
] as const;
const knownKeys: readonly string[] = [...required, 'numKeyValueHeads', ...Object.keys(defaults)];

/**
 * The configuration behind a preset's name or a partial configuration, complete and checked.
 * @throws ERR_COMPACT_MODEL_UNKNOWN for an unknown preset, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function resolveLlamaConfig(
  model: string | LlamaConfig,
  overrides: Partial<LlamaConfig> = {},
): Required<LlamaConfig> {
  const given = { ...(typeof model === 'string' ? preset(model) : model), ...overrides };
  for (const key of Object.keys(given)) {
    if (!knownKeys.includes(key)) {
      const nearest = nearestName(key, knownKeys);
      throw compactError('ERR_COMPACT_CONFIG_UNKNOWN_KEY', `unknown key '${key}' in a LLaMA configuration`, {
        expected: `one of ${knownKeys.join(', ')}`,
        received: key,
        remedy: nearest && `Did you mean '${nearest}'?`,
      });
    }
  }
  const config = { numKeyValueHeads: given.numAttentionHeads, ...defaults, ...given };
  for (const key of [...required, 'numKeyValueHeads', 'maxPositionEmbeddings'] as const)
    requireValue(
      key,
      config[key],
      Number.isSafeInteger(config[key]) && config[key] > 0,
      'a positive whole number',
    );
  for (const key of ['rmsNormEps', 'ropeTheta', 'initializerRange'] as const)
    requireValue(key, config[key], Number.isFinite(config[key]) && config[key] > 0, 'a positive number');
  requireValue(
    'tieWordEmbeddings',
    config.tieWordEmbeddings,
    typeof config.tieWordEmbeddings === 'boolean',
    'a boolean',
  );
  const { hiddenSize, numAttentionHeads: heads, numKeyValueHeads: kvHeads } = config;
  requireValue(
    'numAttentionHeads',
    heads,
    hiddenSize % (2 * heads) === 0,
    `half of ${hiddenSize} divided evenly by it`,
  );
  requireValue(
    'numKeyValueHeads',
    kvHeads,
    heads % kvHeads === 0,
    `a divisor of the ${heads} attention heads`,
  );
  return config;
}

function preset(name: string): LlamaConfig {
  const names = Object.keys(llamaPresets);
  if (Object.hasOwn(llamaPresets, name)) return llamaPresets[name as keyof typeof llamaPresets];
  const nearest = nearestName(name, names);
  throw compactError('ERR_COMPACT_MODEL_UNKNOWN', `unknown model '${name}'`, {
    expected: `one of ${names.join(', ')}`,
    received: name,
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}

function requireValue(key: keyof LlamaConfig, value: unknown, isValid: boolean, expected: string): void {
  if (!isValid)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${key} is out of range`, {
      op: key,
      expected,
      received: String(value),
    });
}

/** A configuration in the words of Hugging Face's `config.json`. */
export const pretrainedLlamaConfig = (
  config: Required<LlamaConfig>,
  dtype: DType,
): Record<string, unknown> => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: config.vocabSize,
  hidden_size: config.hiddenSize,
  intermediate_size: config.intermediateSize,
  num_hidden_layers: config.numHiddenLayers,
  num_attention_heads: config.numAttentionHeads,
  num_key_value_heads: config.numKeyValueHeads,
  head_dim: config.hiddenSize / config.numAttentionHeads,
  max_position_embeddings: config.maxPositionEmbeddings,
  rms_norm_eps: config.rmsNormEps,
  rope_theta: config.ropeTheta,
  tie_word_embeddings: config.tieWordEmbeddings,
  initializer_range: config.initializerRange,
  hidden_act: 'silu',
  attention_bias: false,
  mlp_bias: false,
  torch_dtype: dtype === 'bf16' ? 'bfloat16' : 'float32',
});
