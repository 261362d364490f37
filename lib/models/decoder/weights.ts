import type { StoredParameter, WeightMap } from '../../graph/index.js';
import { causalWeights, tiedHeadTensors } from '../heads/causal.js';
import type { DecoderFacts, LinearName } from './facts.js';

/*
 * Parameters have the names of Hugging Face's checkpoints. There a linear weight is (out_features, in_features), the
 * transpose of ours; the embedding table is (vocabulary, hidden) in both.
 */
export const embeddingName = 'model.embed_tokens.weight';
export const lastNormName = 'model.norm.weight';

const linearModules: Readonly<Record<LinearName, string>> = {
  query: 'self_attn.q_proj',
  key: 'self_attn.k_proj',
  value: 'self_attn.v_proj',
  output: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
};

export const layerPrefix = (layer: number): string => `model.layers.${layer}`;
export const weightName = (layer: number, name: LinearName): string =>
  `${layerPrefix(layer)}.${linearModules[name]}.weight`;
export const biasName = (layer: number, name: LinearName): string =>
  `${layerPrefix(layer)}.${linearModules[name]}.bias`;

/** Names of the norms of a layer; those of what a sublayer gives only where there are any. */
export function normNames(
  layer: number,
  { hasPostNorms }: Pick<DecoderFacts, 'hasPostNorms'>,
): Readonly<Record<'attentionNorm' | 'mlpNorm', string> & Partial<Record<PostNorm, string>>> {
  const name = (norm: string): string => `${layerPrefix(layer)}.${norm}_layernorm.weight`;
  const attentionNorm = name('input');
  if (!hasPostNorms) return { attentionNorm, mlpNorm: name('post_attention') };
  return {
    attentionNorm,
    attentionPostNorm: name('post_attention'),
    mlpNorm: name('pre_feedforward'),
    mlpPostNorm: name('post_feedforward'),
  };
}

/** Norms of what a sublayer gives. */
export type PostNorm = 'attentionPostNorm' | 'mlpPostNorm';

/** Names of the norms of the heads of queries and keys. */
export const headNormNames = (layer: number) => ({
  queryNorm: `${layerPrefix(layer)}.self_attn.q_norm.weight`,
  keyNorm: `${layerPrefix(layer)}.self_attn.k_norm.weight`,
});

const stored = (parameter: string, layout: StoredParameter['layout']): StoredParameter => ({
  parameter,
  tensor: parameter,
  layout,
});

/** How the parameters stand in files. */
export function decoderWeights(facts: DecoderFacts): WeightMap {
  const { numHiddenLayers, tieWordEmbeddings, biased, hasQueryKeyNorm } = facts;
  const linearNames = Object.keys(linearModules) as LinearName[];
  const layers = Array.from({ length: numHiddenLayers }, (_, layer) => [
    ...linearNames.map((name) => stored(weightName(layer, name), 'transposed')),
    ...biased.map((name) => stored(biasName(layer, name), 'same')),
    ...Object.values(normNames(layer, facts)).map((name) => stored(name, 'same')),
    ...(hasQueryKeyNorm ? Object.values(headNormNames(layer)).map((name) => stored(name, 'same')) : []),
  ]);
  const table = stored(embeddingName, 'same');
  return [
    tieWordEmbeddings ? { ...table, tiedTensors: tiedHeadTensors } : table,
    ...layers.flat(),
    stored(lastNormName, 'same'),
    ...causalWeights(tieWordEmbeddings),
  ];
}
