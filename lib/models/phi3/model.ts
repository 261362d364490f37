// Phi-3 (Abdin et al., "Phi-3 Technical Report", 2024), whose files hold the products of one input in one tensor. Within
// its sliding window attention is causal, as it is computed here; longer sequences are refused.
import type { StoredParameter, WeightMap } from '../../graph/index.js';
import { optional, wholeNumber, type OptionTable } from '../../options.js';
import { decoderArchitecture } from '../decoder/architecture.js';
import { bounds, decoderTable, type DecoderConfig } from '../decoder/config.js';
import { linearShapes, type DecoderFacts, type LinearName } from '../decoder/facts.js';
import { decoderWeights, layerPrefix, weightName } from '../decoder/weights.js';

interface Phi3Config extends Omit<DecoderConfig, 'ropeScaling'> {
  /** Tokens that a token sees, itself included. Default: all before it. */
  readonly slidingWindow?: number;
}

const { ropeScaling: _, ...unscaled } = decoderTable;
const table = {
  ...unscaled,
  slidingWindow: optional(wholeNumber(1, bounds.positions)),
} satisfies OptionTable<Phi3Config>;

/** Tensors of a layer and what each holds, one after the other by output features. */
const fused: Readonly<Record<string, readonly LinearName[]>> = {
  'self_attn.qkv_proj.weight': ['query', 'key', 'value'],
  'mlp.gate_up_proj.weight': ['gate', 'up'],
};

function weights(facts: DecoderFacts): WeightMap {
  const shapes = linearShapes(facts);
  const parts = new Map<string, Pick<StoredParameter, 'tensor' | 'part'>>();
  for (let layer = 0; layer < facts.numHiddenLayers; layer++) {
    for (const [tensor, names] of Object.entries(fused)) {
      const of = names.reduce((sum, name) => sum + shapes[name][1], 0);
      let first = 0;
      for (const name of names) {
        parts.set(weightName(layer, name), {
          tensor: `${layerPrefix(layer)}.${tensor}`,
          part: { first, of },
        });
        first += shapes[name][1];
      }
    }
  }
  return decoderWeights(facts).map((stored) => ({ ...stored, ...parts.get(stored.parameter) }));
}

export const phi3Architecture = decoderArchitecture<Phi3Config>({
  words: {
    modelType: 'phi3',
    className: 'Phi3ForCausalLM',
    title: 'Phi-3',
    options: { sliding_window: 'slidingWindow' },
    fixed: { resid_pdrop: 0, embd_pdrop: 0, partial_rotary_factor: 1, attention_bias: false },
    absent: { max_position_embeddings: 4096, rms_norm_eps: 1e-5 },
    // Of scalings, which are refused.
    others: ['original_max_position_embeddings'],
  },
  table,
  presets: {},
  facts: ({ slidingWindow }) => ({ slidingWindows: [slidingWindow] }),
  weights,
});
