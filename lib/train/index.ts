export { listCheckpoints } from './checkpoint-folder.js';
export type { FoundCheckpoint } from './checkpoint-folder.js';
export { optionsFromRecipe } from './recipe.js';
export { evaluateModel } from './evaluator.js';
export type { EvaluateOptions, ModelEvaluation } from './evaluator.js';
export { exportAdapters } from './export-adapters.js';
export type { ExportAdaptersOptions, ExportedAdapters } from './export-adapters.js';
export { exportGguf } from './export-gguf.js';
export type { ExportedGguf, ExportGgufOptions } from './export-gguf.js';
export { exportModel } from './export-model.js';
export type { ExportedModel, ExportOptions } from './export-model.js';
export { fineTune, fineTuneOptions } from './fine-tune.js';
export type { FineTuneOptions, FineTuneResult } from './fine-tune.js';
export { learningRateSchedule, learningRateScheduleNames } from './learning-rate-schedule.js';
export type {
  LearningRateSchedule,
  LearningRateScheduleName,
  LearningRateScheduleOptions,
} from './learning-rate-schedule.js';
export { loadModel } from './load-model.js';
export { Sampler } from './sampler.js';
export type { SamplerOptions } from './sampler.js';
export type { TrainedPart } from './trained-parts.js';
export { Trainer } from './trainer.js';
export * from './types.js';
