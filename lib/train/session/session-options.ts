import type { CompileOptions } from '../../compile/index.js';
import { planRows } from '../../compile/options.js';
import { optional, path, required, withoutDefaults, type OptionTable } from '../../options.js';
import type { EngineOptions } from '../../runtime/index.js';
import { engineTable } from '../../runtime/options.js';
import { scheduleTable } from '../schedule/learning-rate-schedule.js';
import type { TrainerOptions } from '../options/types.js';

/** Options of `TrainingSession.open`. */
export interface SessionOptions
  extends
    Pick<
      CompileOptions,
      'method' | 'gradientDtype' | 'recompute' | 'lossChunkTokens' | 'maxGradNorm' | 'seed'
    >,
    EngineOptions {
  /**
   * What is trained further: a folder in the layout of Hugging Face's checkpoints, a checkpoint of this package, or an output
   * folder: its latest. A causal model.
   */
  readonly model: string;
  /** Adapters to start from; see `TrainerOptions`. */
  readonly adapter?: TrainerOptions['adapter'];
  /** Examples that are computed at a time; a call may have any number. Default 1. */
  readonly batchSize?: number;
  /** Tokens of an example at most. */
  readonly sequenceLength: number;
  /** Of parameters and activations. Default: as the files have them, bf16 for F16. */
  readonly dtype?: 'f32' | 'bf16';
}

const { method, sequenceLength, gradientDtype, recompute, lossChunkTokens, maxGradNorm, seed } = planRows;

export const sessionTable = {
  ...withoutDefaults(engineTable),
  model: path,
  adapter: optional(path),
  batchSize: optional(planRows.batchSize, 1),
  dtype: optional(planRows.dtype),
  ...{ method, sequenceLength, gradientDtype, recompute, lossChunkTokens, maxGradNorm, seed },
} satisfies OptionTable<SessionOptions>;

/** Rates of one update. Those that are left out are `learningRate`. */
export interface SessionRates extends Pick<TrainerOptions, 'learningRate'> {
  readonly embeddingLearningRate?: number;
  readonly headLearningRate?: number;
  readonly normLearningRate?: number;
}

const rate = required(optional(scheduleTable.learningRate));

export const ratesTable = {
  learningRate: rate,
  embeddingLearningRate: optional(rate),
  headLearningRate: optional(rate),
  normLearningRate: optional(rate),
} satisfies OptionTable<SessionRates>;
