import type { Model } from '../../graph/index.js';
import type { OptionTable } from '../../options.js';
import { labelConstants } from '../heads/sequence-label.js';
import type { Architecture } from '../architecture.js';
import { buildEncoder, encoderFields, positionIdsName, typeIdsName } from './build.js';
import { resolveEncoderConfig, type EncoderConfig, type Resolved } from './config.js';
import { countParameters, longestSequence, otherHeads, type EncoderFacts, type HeadNames } from './facts.js';
import { encoderFromPretrained, encoderToPretrained, type EncoderWords } from './pretrained-config.js';
import { encoderWeights } from './weights.js';

/** What an architecture of the shared body says of itself. */
export interface EncoderFamily<C extends EncoderConfig> {
  readonly words: Omit<EncoderWords<C>, 'table'>;
  readonly table: OptionTable<C>;
  readonly heads: HeadNames;
  /** What names of tensors begin with of poolers and of heads that are in no model here. */
  readonly unusedModules: readonly string[];
  /** Rows of the table of positions in front of that of the first token. */
  positionOffset(config: Resolved<C>): number;
}

/** An architecture whose body is the shared one. */
export function encoderArchitecture<C extends EncoderConfig>(family: EncoderFamily<C>): Architecture {
  const words: EncoderWords<C> = { ...family.words, table: family.table };
  const what = `a ${words.title} configuration`;
  return {
    presets: [],
    create: (model, overrides = {}) =>
      modelOf(family, words, resolveEncoderConfig(what, family.table, model as object, overrides)),
    readPretrained: (fields) => encoderFromPretrained(words, fields),
  };
}

function modelOf<C extends EncoderConfig>(
  { heads, unusedModules, positionOffset }: EncoderFamily<C>,
  words: EncoderWords<C>,
  config: Resolved<C>,
): Model {
  const { modelType } = words;
  const bodyPrefix = `${modelType}.`;
  const facts: EncoderFacts = {
    ...{ config, bodyPrefix, heads, unusedModules },
    positionOffset: positionOffset(config),
  };
  return {
    name: modelType,
    vocabularySize: config.vocabSize,
    maxSequenceLength: longestSequence(facts),
    numParameters: countParameters(facts),
    batchFields: encoderFields(facts),
    weights: encoderWeights(facts),
    bodyPrefix,
    otherHeads: otherHeads(facts),
    build: (graph, options) => buildEncoder(graph, facts, options),
    constants: (sequenceLength) => ({
      [positionIdsName]: Int32Array.from({ length: sequenceLength }, (_, at) => at + facts.positionOffset),
      ...(config.typeVocabSize === 1 && { [typeIdsName]: new Int32Array(sequenceLength) }),
      ...labelConstants(config),
    }),
    describe: () => ({ architecture: modelType, ...(config as object) }),
    pretrainedConfig: (dtype, tokens = {}) => encoderToPretrained(words, config, dtype, tokens),
  };
}
