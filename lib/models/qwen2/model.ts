// Qwen2 and Qwen2.5 (Yang et al., "Qwen2 Technical Report", 2024): biases of queries, keys and values.
import { decoderArchitecture } from '../decoder/architecture.js';
import { decoderTable, type DecoderConfig } from '../decoder/config.js';

export const qwen2Architecture = decoderArchitecture<DecoderConfig>({
  words: {
    modelType: 'qwen2',
    className: 'Qwen2ForCausalLM',
    title: 'Qwen2',
    options: {},
    fixed: { use_sliding_window: false },
    absent: { num_key_value_heads: 32, max_position_embeddings: 32768 },
    // Of a window that is not used.
    others: ['sliding_window', 'max_window_layers'],
  },
  table: decoderTable,
  presets: {},
  facts: () => ({ biased: ['query', 'key', 'value'] }),
});
