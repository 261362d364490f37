import type { StoredParameter, WeightMap } from '../../graph/index.js';
import { causalWeights, tiedHeadTensors } from '../heads/causal.js';
import type { LlamaConfig } from './config.js';

/*
 * Parameters have the names of Hugging Face's checkpoints. There a linear weight is (out_features, in_features), the
 * transpose of ours; the embedding table is (vocabulary, hidden) in both.
 */
export const embeddingName = 'model.embed_tokens.weight';
export const lastNormName = 'model.norm.weight';

const linearNames = (layer: number) => ({
  query: `model.layers.${layer}.self_attn.q_proj.weight`,
  key: `model.layers.${layer}.self_attn.k_proj.weight`,
  value: `model.layers.${layer}.self_attn.v_proj.weight`,
  output: `model.layers.${layer}.self_attn.o_proj.weight`,
  gate: `model.layers.${layer}.mlp.gate_proj.weight`,
  up: `model.layers.${layer}.mlp.up_proj.weight`,
  down: `model.layers.${layer}.mlp.down_proj.weight`,
});

const normNames = (layer: number) => ({
  attentionNorm: `model.layers.${layer}.input_layernorm.weight`,
  mlpNorm: `model.layers.${layer}.post_attention_layernorm.weight`,
});

/** Names of the parameters of a layer. */
export const layerNames = (layer: number) => ({ ...linearNames(layer), ...normNames(layer) });

const stored = (parameter: string, layout: StoredParameter['layout']): StoredParameter => ({
  parameter,
  tensor: parameter,
  layout,
});

/** How the parameters stand in files. */
export function llamaWeights({ numHiddenLayers, tieWordEmbeddings }: Required<LlamaConfig>): WeightMap {
  const layers = Array.from({ length: numHiddenLayers }, (_, layer) => [
    ...Object.values(linearNames(layer)).map((name) => stored(name, 'transposed')),
    ...Object.values(normNames(layer)).map((name) => stored(name, 'same')),
  ]);
  const table = stored(embeddingName, 'same');
  return [
    tieWordEmbeddings ? { ...table, tiedTensors: tiedHeadTensors } : table,
    ...layers.flat(),
    stored(lastNormName, 'same'),
    ...causalWeights(tieWordEmbeddings),
  ];
}
