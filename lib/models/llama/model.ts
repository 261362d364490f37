// LLaMA (Touvron et al. 2023; Llama Team 2024), and what has its form, such as SmolLM.
import type { Model } from '../../graph/index.js';
import { decoderArchitecture } from '../decoder/architecture.js';
import type { LinearName } from '../decoder/facts.js';
import { llamaTable, type LlamaConfig } from './config.js';
import { llamaPresets, type LlamaPresetName } from './presets.js';

const attentionLayers: readonly LinearName[] = ['query', 'key', 'value', 'output'];
const mlpLayers: readonly LinearName[] = ['gate', 'up', 'down'];

const family = decoderArchitecture<LlamaConfig>({
  words: {
    modelType: 'llama',
    className: 'LlamaForCausalLM',
    title: 'LLaMA',
    options: { attention_bias: 'attentionBias', mlp_bias: 'mlpBias' },
    // SmolLM tells how pairs are turned, and that its weights have the form of these.
    fixed: { rope_interleaved: false },
    others: ['is_llama_config', 'transformers.js_config'],
  },
  table: llamaTable,
  presets: llamaPresets,
  facts: ({ attentionBias, mlpBias }) => ({
    biased: [...(attentionBias ? attentionLayers : []), ...(mlpBias ? mlpLayers : [])],
  }),
});

/**
 * A LLaMA-like language model.
 * @param model a preset's name (`llamaPresets`), or a configuration
 * @param overrides replace single values of either
 * @throws ERR_COMPACT_MODEL_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example llama('llama-60m').numParameters // 58073600
 */
export function llama(model: LlamaPresetName | LlamaConfig, overrides?: Partial<LlamaConfig>): Model {
  return family.create(model, overrides);
}

export const llamaArchitecture = { ...family, create: llama };
