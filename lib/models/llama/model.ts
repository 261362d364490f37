import type { Model } from '../../graph/index.js';
import type { Architecture } from '../architecture.js';
import { causalFields } from '../heads/causal.js';
import { buildLlama, llamaTokens } from './build.js';
import { countParameters, headSizeOf, resolveLlamaConfig, type LlamaConfig } from './config.js';
import { llamaPresets, type LlamaPresetName } from './presets.js';
import { llamaFromPretrained, llamaToPretrained } from './pretrained-config.js';
import { ropeTables } from './rope-tables.js';
import { llamaWeights } from './weights.js';

/**
 * A LLaMA-like language model.
 * @param model a preset's name (`llamaPresets`), or a configuration
 * @param overrides replace single values of either
 * @throws ERR_COMPACT_MODEL_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example llama('llama-60m').numParameters // 58073600
 */
export function llama(model: LlamaPresetName | LlamaConfig, overrides?: Partial<LlamaConfig>): Model {
  const config = resolveLlamaConfig(model, overrides);
  return {
    name: typeof model === 'string' ? model : 'llama',
    vocabularySize: config.vocabSize,
    maxSequenceLength: config.maxPositionEmbeddings,
    numParameters: countParameters(config),
    batchFields: [llamaTokens(config), ...causalFields(config.vocabSize)],
    weights: llamaWeights(config),
    build: (graph, options) => buildLlama(graph, config, options),
    constants: (sequenceLength) => ropeTables(sequenceLength, headSizeOf(config), config.ropeTheta),
    describe: () => ({ architecture: 'llama', ...config }),
    pretrainedConfig: (dtype, tokens) => llamaToPretrained(config, dtype, tokens),
  };
}

export const llamaArchitecture: Architecture = {
  presets: Object.keys(llamaPresets),
  create: llama,
  readPretrained: llamaFromPretrained,
};
