import type { Model, WeightMap } from '../../graph/index.js';
import type { OptionTable } from '../../options.js';
import type { Architecture } from '../architecture.js';
import { causalFields } from '../heads/causal.js';
import { buildDecoder, decoderPlaces, decoderTokens } from './build.js';
import { headSizeOf, resolveDecoderConfig, ropeOf, type DecoderConfig, type Resolved } from './config.js';
import { countParameters, plainFacts, type DecoderFacts, type OwnFacts } from './facts.js';
import { decoderFromPretrained, decoderToPretrained, type PretrainedWords } from './pretrained-config.js';
import { longestOf } from './rope-scaling.js';
import { ropeTables } from './rope-tables.js';
import { decoderWeights } from './weights.js';

/** What an architecture of the shared parts says of itself. */
export interface DecoderFamily<C extends DecoderConfig> {
  readonly words: Omit<PretrainedWords<C>, 'table'>;
  readonly table: OptionTable<C>;
  readonly presets: Readonly<Record<string, C>>;
  /** What it computes by its own options. */
  facts(config: Resolved<C>): OwnFacts;
  /** How its parameters stand in files, where that is not how most do. */
  weights?(facts: DecoderFacts): WeightMap;
}

/** An architecture whose layers are the shared ones. */
export function decoderArchitecture<C extends DecoderConfig>(
  family: DecoderFamily<C>,
): Omit<Architecture, 'create'> & { create(model: string | C, overrides?: Partial<C>): Model } {
  const { table, presets } = family;
  const words: PretrainedWords<C> = { ...family.words, table };
  const rules = { what: `a ${words.title} configuration`, table, presets };
  return {
    presets: Object.keys(presets),
    create: (model, overrides = {}) =>
      modelOf(
        family,
        words,
        typeof model === 'string' ? model : words.modelType,
        resolveDecoderConfig(rules, model, overrides),
      ),
    readPretrained: (fields) => decoderFromPretrained(words, fields),
  };
}

function modelOf<C extends DecoderConfig>(
  family: DecoderFamily<C>,
  words: PretrainedWords<C>,
  name: string,
  config: Resolved<C>,
): Model {
  const facts = factsOf(config, family.facts(config));
  return {
    name,
    vocabularySize: facts.vocabSize,
    maxSequenceLength: longestOf(facts.rope),
    numParameters: countParameters(facts),
    batchFields: [decoderTokens(facts), ...causalFields(facts.vocabSize)],
    packedFields: decoderPlaces(facts),
    isCausal: true,
    weights: (family.weights ?? decoderWeights)(facts),
    bodyPrefix: 'model.',
    build: (graph, options) => buildDecoder(graph, facts, options),
    constants: (sequenceLength) => ropeTables(sequenceLength, facts.headSize, facts.rope),
    describe: () => ({ architecture: words.modelType, ...(config as object) }),
    pretrainedConfig: (dtype, tokens = {}) => decoderToPretrained(words, config, dtype, tokens),
  };
}

function factsOf(config: Resolved<DecoderConfig>, own: OwnFacts): DecoderFacts {
  const { vocabSize, hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads } = config;
  const { numKeyValueHeads, rmsNormEps, tieWordEmbeddings, initializerRange } = config;
  return {
    ...{ vocabSize, hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, numKeyValueHeads },
    ...{ rmsNormEps, tieWordEmbeddings, initializerRange },
    headSize: headSizeOf(config),
    rope: ropeOf(config),
    ...plainFacts,
    ...own,
  };
}
