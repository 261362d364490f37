// Mistral (Jiang et al., "Mistral 7B", 2023): a token sees a window of those before it.
import { optional, wholeNumber, type OptionTable } from '../../options.js';
import { decoderArchitecture } from '../decoder/architecture.js';
import { bounds, decoderTable, type DecoderConfig } from '../decoder/config.js';

interface MistralConfig extends DecoderConfig {
  /** Tokens that a token sees, itself included. Default: all before it. */
  readonly slidingWindow?: number;
}

const table = {
  ...decoderTable,
  slidingWindow: optional(wholeNumber(1, bounds.positions)),
} satisfies OptionTable<MistralConfig>;

export const mistralArchitecture = decoderArchitecture<MistralConfig>({
  words: {
    modelType: 'mistral',
    className: 'MistralForCausalLM',
    title: 'Mistral',
    options: { sliding_window: 'slidingWindow' },
    fixed: {},
    absent: { num_key_value_heads: 8, max_position_embeddings: 4096 * 32, sliding_window: 4096 },
  },
  table,
  presets: {},
  facts: ({ slidingWindow }) => ({ slidingWindows: [slidingWindow] }),
});
