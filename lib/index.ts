/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Train transformers in far less memory.
 *
 * The usual way in is `Trainer`; `compile` and `memoryReport` answer questions about memory without training. Who writes
 * models, ops or methods finds the rest in `compact-train/graph`, who writes a loop in `compact-train/runtime`.
 *
 * @example
 * import { Trainer, compact, llama } from 'compact-train';
 *
 * const trainer = await Trainer.create({
 *   model: llama('llama-demo'),
 *   method: compact({ rankRatio: 0.25 }),
 *   data: { train: 'addresses' },
 *   batchSize: 8, sequenceLength: 128, maxSteps: 200, learningRate: 0.01,
 * });
 * try {
 *   for await (const { step, loss } of trainer) console.log(step, loss);
 * } finally {
 *   await trainer.close(); // in TypeScript: await using trainer = ..., and no try
 * }
 */
export {
  type Accounting,
  type CompileOptions,
  compile,
  type Plan,
  type PlanEntry,
  type PlanInstruction,
  type PlanValue,
  type RecomputePolicy,
  type Target,
} from './compile/index.js';
export type {
  CsvSeparator,
  DataOptions,
  RecordDataOptions,
  RecordFiles,
  RecordFormat,
  RecordKind,
  RecordsOptions,
  RecordStatistics,
  WeightedFile,
  Tokenizer,
} from './data/index.js';
export {
  type CompactError,
  type CompactErrorCode,
  type CompactErrorFields,
  compactErrorCodes,
  isCompactError,
} from './errors.js';
export type { PreferenceOptions } from './graph/index.js';
export {
  type LargestBatch,
  largestBatch,
  type MemoryReport,
  memoryReport,
  type MemoryTimeline,
  type Remedy,
  remedies,
} from './memory/index.js';
export type {
  AdafactorSettings,
  AdamWSettings,
  AdaptableRole,
  AdapterInputOptions,
  AdapterOptions,
  ClippingSettings,
  CompressibleRole,
  EmbeddingOptimizerSettings,
  LionSettings,
  Method,
  MethodOptions,
  MuonSettings,
  OptimizerName,
  ProjectionOptions,
  RankOptions,
  RestartSettings,
  StateFormat,
  RmnpSettings,
  ScaleSettings,
  SgdSettings,
  StepOptions,
} from './methods/index.js';
export * from './methods/presets/index.js';
export {
  type DecoderConfig,
  type DynamicRopeScaling,
  type LinearRopeScaling,
  llama,
  type Llama3RopeScaling,
  type LlamaConfig,
  type LlamaPreset,
  type LlamaPresetName,
  llamaPresets,
  type Model,
  type RopeScaling,
  type YarnRopeScaling,
} from './models/index.js';
export {
  type BlasChoice,
  cpuTarget,
  type Device,
  type DeviceName,
  type DeviceReport,
  devices,
  deviceTarget,
  type Environment,
  environment,
  type GraphChoice,
} from './runtime/index.js';
export * from './train/index.js';
