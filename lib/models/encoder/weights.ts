import type { WeightMap } from '../../graph/index.js';
import { labelWeights } from '../heads/sequence-label.js';
import { maskedWeights, tiedTableTensors } from '../heads/masked-lm.js';
import { numOutputs, type EncoderFacts } from './facts.js';
import { denseWeights, normWeights, stored } from './stored-parts.js';

/*
 * Parameters have the names of transformers' checkpoints. There a linear weight is (out_features, in_features), the
 * transpose of ours; tables are the same in both.
 */

/** The linear layers of a layer. */
export const linearNames = ['query', 'key', 'value', 'output', 'up', 'down'] as const;
export type LinearName = (typeof linearNames)[number];

const modules: Readonly<Record<LinearName, string>> = {
  query: 'attention.self.query',
  key: 'attention.self.key',
  value: 'attention.self.value',
  output: 'attention.output.dense',
  up: 'intermediate.dense',
  down: 'output.dense',
};

type Named = Pick<EncoderFacts, 'bodyPrefix'>;

const layerPrefix = ({ bodyPrefix }: Named, layer: number): string => `${bodyPrefix}encoder.layer.${layer}`;
export const linearPrefix = (facts: Named, layer: number, name: LinearName): string =>
  `${layerPrefix(facts, layer)}.${modules[name]}`;
/** Names of the norms of a layer. */
export const normPrefixes = (facts: Named, layer: number) => ({
  attentionNorm: `${layerPrefix(facts, layer)}.attention.output.LayerNorm`,
  mlpNorm: `${layerPrefix(facts, layer)}.output.LayerNorm`,
});
/** Names of the tables, and of the norm of their sum. */
export const embeddingNames = ({ bodyPrefix }: Named) => ({
  tokens: `${bodyPrefix}embeddings.word_embeddings.weight`,
  positions: `${bodyPrefix}embeddings.position_embeddings.weight`,
  types: `${bodyPrefix}embeddings.token_type_embeddings.weight`,
  norm: `${bodyPrefix}embeddings.LayerNorm`,
});

/** How the parameters stand in files. */
export function encoderWeights(facts: EncoderFacts): WeightMap {
  const names = embeddingNames(facts);
  const isMasked = numOutputs(facts) === undefined;
  const table = stored(names.tokens);
  const layers = Array.from({ length: facts.config.numHiddenLayers }, (_, layer) => [
    ...linearNames.flatMap((name) => denseWeights(linearPrefix(facts, layer, name))),
    ...Object.values(normPrefixes(facts, layer)).flatMap(normWeights),
  ]);
  return [
    isMasked ? { ...table, tiedTensors: tiedTableTensors(facts.heads.masked) } : table,
    stored(names.positions),
    stored(names.types),
    ...normWeights(names.norm),
    ...layers.flat(),
    ...(isMasked ? maskedWeights(facts.heads.masked) : labelWeights(facts.heads.label)),
  ];
}
