export type { BuildOptions, Model } from '../graph/index.js';
export { modelFromDescription } from './from-description.js';
export { modelFromPretrainedConfig } from './from-pretrained.js';
export type { DecoderConfig } from './decoder/config.js';
export type {
  DynamicRopeScaling,
  LinearRopeScaling,
  Llama3RopeScaling,
  RopeScaling,
  YarnRopeScaling,
} from './decoder/rope-scaling.js';
export { llama } from './llama/model.js';
export type { LlamaConfig } from './llama/config.js';
export { type LlamaPreset, type LlamaPresetName, llamaPresets } from './llama/presets.js';
