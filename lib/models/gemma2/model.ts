// Gemma 2 (Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024): soft caps of scores and logits,
// norms before and after each sublayer whose weights are stored as what they differ from 1 by, a gate of GELU, embeddings
// times the root of the width, a sliding window in every other layer, the first among them.
import { numberAbove, optional, wholeNumber, type OptionTable } from '../../options.js';
import { decoderArchitecture } from '../decoder/architecture.js';
import { bounds, decoderTable, type DecoderConfig } from '../decoder/config.js';

interface Gemma2Config extends Omit<DecoderConfig, 'ropeScaling'> {
  /** Features of one attention head, an even number. Default 256. */
  readonly headDim?: number;
  /** Scores are multiplied by the inverse of its root. Default 256. */
  readonly queryPreAttnScalar?: number;
  /** Soft cap of the scores of attention. Default: none. */
  readonly attnLogitSoftcapping?: number;
  /** Soft cap of the logits. Default: none. */
  readonly finalLogitSoftcapping?: number;
  /** Tokens that a token sees in every other layer, itself included. Default: all before it. */
  readonly slidingWindow?: number;
}

const { ropeScaling: _, ...unscaled } = decoderTable;
const table = {
  ...unscaled,
  headDim: optional(wholeNumber(1, bounds.width), 256),
  queryPreAttnScalar: optional(numberAbove(0), 256),
  attnLogitSoftcapping: optional(numberAbove(0)),
  finalLogitSoftcapping: optional(numberAbove(0)),
  slidingWindow: optional(wholeNumber(1, bounds.positions)),
} satisfies OptionTable<Gemma2Config>;

export const gemma2Architecture = decoderArchitecture<Gemma2Config>({
  words: {
    modelType: 'gemma2',
    className: 'Gemma2ForCausalLM',
    title: 'Gemma 2',
    options: {
      query_pre_attn_scalar: 'queryPreAttnScalar',
      attn_logit_softcapping: 'attnLogitSoftcapping',
      final_logit_softcapping: 'finalLogitSoftcapping',
      sliding_window: 'slidingWindow',
    },
    fixed: {
      hidden_act: 'gelu_pytorch_tanh',
      hidden_activation: 'gelu_pytorch_tanh',
      attention_bias: false,
      use_bidirectional_attention: false,
    },
    absent: {
      num_key_value_heads: 4,
      head_dim: 256,
      max_position_embeddings: 8192,
      tie_word_embeddings: true,
      query_pre_attn_scalar: 256,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
      sliding_window: 4096,
    },
    others: ['cache_implementation'],
    layerTypes: ['sliding_attention', 'full_attention'],
  },
  table,
  presets: {},
  facts: (config) => ({
    activation: 'gelu',
    hasPostNorms: true,
    normWeightOffset: 1,
    scalesEmbedding: true,
    scoreScale: config.queryPreAttnScalar! ** -0.5,
    scoreSoftCap: config.attnLogitSoftcapping,
    logitSoftCap: config.finalLogitSoftcapping,
    slidingWindows: [config.slidingWindow, undefined],
  }),
});
