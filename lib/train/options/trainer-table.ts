import * as v from 'valibot';
import { planRows } from '../../compile/options.js';
import { scheduleTable } from '../schedule/learning-rate-schedule.js';
import {
  abortSignal,
  flag,
  functionOf,
  numberAbove,
  numberFrom,
  numberWithin,
  oneOf,
  optional,
  path,
  section,
  seedNumber,
  text,
  withoutDefaults,
  wholeNumber,
  type OptionTable,
} from '../../options.js';
import type { PreferenceOptions } from '../../graph/index.js';
import { engineTable } from '../../runtime/options.js';
import { bestModelMetrics } from '../evaluation/best-metric.js';
import type { SamplerOptions } from '../generation/sampler.js';
import type { SampleBatchOptions, SampleOptions, TrainerOptions } from './types.js';

const expectedSteps = 'a whole number from 0, or a share of the run below 1';
const stepsOrShare = v.union([wholeNumber(0), numberWithin(0, 1)], expectedSteps);

/** Every option of a training run; recipes have the same, with model, method and data as mappings. */
export const trainerTable = {
  ...planRows,
  /** Has a table of its own: `dataTable`. */
  data: section,
  baseModel: optional(path),
  adapter: optional(path),
  /** Has a table of its own: `preferenceTable`. */
  preference: optional(section),
  outputDirectory: optional(path),
  resumeFromCheckpoint: optional(path),

  gradientAccumulationSteps: optional(wholeNumber(1, 65536), 1),
  maxSteps: optional(scheduleTable.maxSteps),
  numTrainEpochs: optional(numberAbove(0)),
  learningRate: scheduleTable.learningRate,
  embeddingLearningRate: optional(scheduleTable.learningRate),
  headLearningRate: optional(scheduleTable.learningRate),
  normLearningRate: optional(scheduleTable.learningRate),
  layerLearningRateDecay: optional(numberAbove(0, 1)),
  lrSchedulerType: optional(scheduleTable.type, 'linear'),
  warmupSteps: scheduleTable.warmupSteps,
  warmupRatio: scheduleTable.warmupRatio,
  minLrRate: scheduleTable.minLrRate,
  dtype: optional(planRows.dtype, 'f32'),

  evalSteps: optional(stepsOrShare, 0),
  evalSequences: optional(wholeNumber(1)),
  metricForBestModel: optional(oneOf(bestModelMetrics), 'loss'),
  earlyStoppingPatience: optional(wholeNumber(0), 0),
  loadBestModelAtEnd: optional(flag, false),
  saveSteps: optional(stepsOrShare, 0),
  saveTotalLimit: optional(wholeNumber(0), 2),
  loggingSteps: optional(wholeNumber(1), 10),
  loggingDirectory: optional(path),

  ...withoutDefaults(engineTable), // the engine's own
  signal: optional(abortSignal),
  onTokenize: optional(functionOf<NonNullable<TrainerOptions['onTokenize']>>('a function')),
  onReference: optional(functionOf<NonNullable<TrainerOptions['onReference']>>('a function')),
} satisfies OptionTable<Omit<TrainerOptions, 'data'> & { readonly data: unknown }>;

export const preferenceTable = {
  beta: optional(numberAbove(0), 0.1),
  labelSmoothing: optional(numberWithin(0, 0.5), 0),
} satisfies OptionTable<PreferenceOptions>;

/** Tokens of one micro-batch at most: they are read at once. */
export const maxBatchTokens = 2 ** 27;

export const samplerTable = {
  ...withoutDefaults(engineTable),
  checkpoint: path,
  tokenizer: optional(path),
  contextLength: optional(wholeNumber(1)),
  batchSize: optional(wholeNumber(1, maxBatchTokens), 1),
} satisfies OptionTable<SamplerOptions>;

const messageSchema = v.strictObject(
  { role: oneOf(['system', 'user', 'assistant']), content: text },
  'a message, { role, content }',
);
const stopString = v.pipe(text, v.nonEmpty('a text that is not empty'));

/** How texts are written, whatever they go on from. */
export const sampleBatchTable = {
  splitSpecialTokens: optional(flag, true),
  maxNewTokens: optional(wholeNumber(0, 2 ** 20), 128),
  temperature: optional(numberFrom(0), 1),
  topK: optional(wholeNumber(0), 0),
  topP: optional(numberAbove(0, 1), 1),
  seed: optional(seedNumber, 42),
  stop: optional(v.array(stopString, 'a list of texts'), []),
  signal: optional(abortSignal),
} satisfies OptionTable<SampleBatchOptions>;

export const sampleTable = {
  prompt: optional(text),
  messages: optional(v.pipe(v.array(messageSchema, 'a list of messages'), v.nonEmpty('a message'))),
  ...sampleBatchTable,
  onText: optional(functionOf<NonNullable<SampleOptions['onText']>>('a function')),
} satisfies OptionTable<SampleOptions>;
