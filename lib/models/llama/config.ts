import { flag, optional, type OptionTable } from '../../options.js';
import { decoderTable, type DecoderConfig } from '../decoder/config.js';

/** The shape of a LLaMA-like model, in the words of Hugging Face's config.json. */
export interface LlamaConfig extends DecoderConfig {
  /** Products to queries, keys and values, and back from the heads, add biases. Default: they do not. */
  readonly attentionBias?: boolean;
  /** The three products of the feed-forward layer add biases. Default: they do not. */
  readonly mlpBias?: boolean;
}

export const llamaTable = {
  ...decoderTable,
  attentionBias: optional(flag),
  mlpBias: optional(flag),
} satisfies OptionTable<LlamaConfig>;
