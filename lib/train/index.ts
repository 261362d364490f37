export { listCheckpoints } from './checkpoints/checkpoint-folder.js';
export type { FoundCheckpoint } from './checkpoints/checkpoint-folder.js';
export { fineTuneFromRecipe } from './options/fine-tune-recipe.js';
export { optionsFromRecipe } from './options/recipe.js';
export type { BestModelMetric } from './evaluation/best-metric.js';
export { evaluateModel } from './evaluation/evaluator.js';
export type { EvaluateOptions, EvaluationMetric, ModelEvaluation } from './evaluation/evaluator.js';
export { exportAdapters } from './interchange/export-adapters.js';
export type { ExportAdaptersOptions, ExportedAdapters } from './interchange/export-adapters.js';
export { exportGguf } from './interchange/export-gguf.js';
export type { ExportedGguf, ExportGgufOptions } from './interchange/export-gguf.js';
export { exportModel } from './interchange/export-model.js';
export type { ExportedModel, ExportOptions } from './interchange/export-model.js';
export { fineTune, fineTuneOptions } from './fine-tune.js';
export type { FineTuneOptions, FineTuneResult } from './fine-tune.js';
export { learningRateSchedule, learningRateScheduleNames } from './schedule/learning-rate-schedule.js';
export type {
  LearningRateSchedule,
  LearningRateScheduleName,
  LearningRateScheduleOptions,
} from './schedule/learning-rate-schedule.js';
export { loadModel } from './weights/load-model.js';
export { Sampler } from './generation/sampler.js';
export type { SamplerOptions } from './generation/sampler.js';
export { TrainingSession } from './session/training-session.js';
export type { SavedSession, SessionLoss, SessionStep } from './session/training-session.js';
export type { SessionExample } from './session/session-examples.js';
export type { SessionOptions, SessionRates } from './session/session-options.js';
export type { TrainedPart } from './trained-parts.js';
export { Trainer } from './trainer.js';
export * from './options/types.js';
