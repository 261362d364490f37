export type { BuildOptions, Model } from '../graph/index.js';
export { modelFromDescription } from './from-description.js';
export { modelFromPretrainedConfig } from './from-pretrained.js';
export { llama } from './llama/model.js';
export type { LlamaConfig } from './llama/config.js';
export { type LlamaPreset, type LlamaPresetName, llamaPresets } from './llama/presets.js';
