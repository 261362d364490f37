export { listCheckpoints } from './checkpoint-folder.js';
export type { FoundCheckpoint } from './checkpoint-folder.js';
export { optionsFromRecipe } from './recipe.js';
export { evaluateCheckpoint } from './evaluator.js';
export type { CheckpointEvaluation, EvaluateOptions } from './evaluator.js';
export { Sampler } from './sampler.js';
export type { SamplerOptions } from './sampler.js';
export { Trainer } from './trainer.js';
export * from './types.js';
