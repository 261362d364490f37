import type { StoredParameter, WeightMap } from '../../graph/index.js';
import { causalWeights, tiedHeadTensors } from '../heads/causal.js';
import type { Gpt2Config } from './config.js';

/*
 * Parameters have the names of transformers' checkpoints, but for queries, keys and values, which stand there in one
 * tensor. Weights are (in_features, out_features) there, too.
 */
export const embeddingName = 'transformer.wte.weight';
export const positionsName = 'transformer.wpe.weight';
export const lastNorm = 'transformer.ln_f';

/** The linear layers of a layer. */
export const linearNames = ['query', 'key', 'value', 'output', 'up', 'down'] as const;
export type LinearName = (typeof linearNames)[number];

const modules: Readonly<Record<LinearName, string>> = {
  query: 'attn.q_attn',
  key: 'attn.k_attn',
  value: 'attn.v_attn',
  output: 'attn.c_proj',
  up: 'mlp.c_fc',
  down: 'mlp.c_proj',
};

export const modulePrefix = (layer: number): string => `transformer.h.${layer}`;
export const linearPrefix = (layer: number, name: LinearName): string =>
  `${modulePrefix(layer)}.${modules[name]}`;

const stored = (parameter: string): StoredParameter => ({ parameter, tensor: parameter, layout: 'same' });

/** How the parameters stand in files. */
export function gpt2Weights({ nLayer, nEmbd, tieWordEmbeddings }: Required<Gpt2Config>): WeightMap {
  const fused: readonly LinearName[] = ['query', 'key', 'value'];
  const both = (prefix: string): StoredParameter[] =>
    ['weight', 'bias'].map((kind) => stored(`${prefix}.${kind}`));
  const layers = Array.from({ length: nLayer }, (_, layer) => [
    ...linearNames.flatMap((name) =>
      ['weight', 'bias'].map((kind): StoredParameter => {
        const own = stored(`${linearPrefix(layer, name)}.${kind}`);
        const place = fused.indexOf(name);
        if (place < 0) return own;
        const tensor = `${modulePrefix(layer)}.attn.c_attn.${kind}`;
        return { ...own, tensor, part: { first: place * nEmbd, of: 3 * nEmbd } };
      }),
    ),
    ...both(`${modulePrefix(layer)}.ln_1`),
    ...both(`${modulePrefix(layer)}.ln_2`),
  ]);
  const table = stored(embeddingName);
  return [
    tieWordEmbeddings ? { ...table, tiedTensors: tiedHeadTensors } : table,
    stored(positionsName),
    ...layers.flat(),
    ...both(lastNorm),
    ...causalWeights(tieWordEmbeddings),
  ];
}
