export type { BuildOptions, Model } from '../graph/index.js';
export { modelFromDescription } from './from-description.js';
export { llama } from './llama.js';
export type { LlamaConfig } from './llama-config.js';
export { type LlamaPreset, type LlamaPresetName, llamaPresets } from './presets.js';
