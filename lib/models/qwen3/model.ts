// Qwen3 (Yang et al., "Qwen3 Technical Report", 2025): each head of queries and keys is normed before it is rotated.
import { flag, optional, wholeNumber, type OptionTable } from '../../options.js';
import { decoderArchitecture } from '../decoder/architecture.js';
import { bounds, decoderTable, type DecoderConfig } from '../decoder/config.js';

interface Qwen3Config extends DecoderConfig {
  /** Features of one attention head, an even number. Default 128. */
  readonly headDim?: number;
  /** Products to queries, keys and values, and back from the heads, add biases. Default: they do not. */
  readonly attentionBias?: boolean;
}

const table = {
  ...decoderTable,
  headDim: optional(wholeNumber(1, bounds.width), 128),
  attentionBias: optional(flag),
} satisfies OptionTable<Qwen3Config>;

export const qwen3Architecture = decoderArchitecture<Qwen3Config>({
  words: {
    modelType: 'qwen3',
    className: 'Qwen3ForCausalLM',
    title: 'Qwen3',
    options: { attention_bias: 'attentionBias' },
    fixed: { use_sliding_window: false },
    absent: { num_key_value_heads: 32, max_position_embeddings: 32768, head_dim: 128 },
    // Of a window that is not used.
    others: ['sliding_window', 'max_window_layers'],
  },
  table,
  presets: {},
  facts: ({ attentionBias }) => ({
    biased: attentionBias ? ['query', 'key', 'value', 'output'] : [],
    hasQueryKeyNorm: true,
  }),
});
