import { Dataset } from '../data/index.js';
import { paths } from '../data/data-table.js';
import {
  abortSignal,
  checkOptions,
  checkValue,
  optional,
  path,
  wholeNumber,
  type OptionTable,
} from '../options.js';
import { engineTable } from '../runtime/options.js';
import { loadCheckpointModel, readCheckpointModel, tokenizerOf } from './checkpoint-model.js';
import { evaluateLoss } from './evaluate.js';
import { Resources } from './resources.js';
import { maxStepTokens } from './trainer-table.js';
import type { EvaluateReport, TrainerOptions } from './types.js';

export interface EvaluateOptions extends Pick<
  TrainerOptions,
  'device' | 'threads' | 'instructionSet' | 'blas' | 'graphs' | 'memoryLimitBytes' | 'evalSequences'
> {
  /** A checkpoint, or an output folder: its latest. */
  readonly checkpoint: string;
  /** Files or folders, or the name of a packaged corpus. */
  readonly data: string | readonly string[];
  /** Tokens of one sequence. Default: those that the checkpoint was trained on. */
  readonly sequenceLength?: number;
  /** Sequences at a time; the result does not depend on it but for rounding. Default 8, or all if they are fewer. */
  readonly batchSize?: number;
  /** Ends the work with ERR_COMPACT_ABORTED. */
  readonly signal?: AbortSignal;
}

/** The loss of a text under a checkpoint. */
export interface CheckpointEvaluation extends EvaluateReport {
  /** The checkpoint that was used. */
  readonly checkpoint: string;
}

export const evaluateTable = {
  ...engineTable,
  checkpoint: path,
  data: paths,
  evalSequences: optional(wholeNumber(1)),
  sequenceLength: optional(wholeNumber(1)),
  batchSize: optional(wholeNumber(1, maxStepTokens)),
  signal: optional(abortSignal),
} satisfies OptionTable<EvaluateOptions>;

/**
 * Loss and perplexity of a text under a checkpoint. The text is cut into whole sequences, each predicted by itself.
 *
 * @example
 * const { perplexity } = await evaluateCheckpoint({ checkpoint: 'runs/demo', data: 'held-out.txt' });
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_TOKENIZER, ERR_COMPACT_DATA_*,
 *   ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT, ERR_COMPACT_ABORTED
 */
export async function evaluateCheckpoint(given: EvaluateOptions): Promise<CheckpointEvaluation> {
  const {
    checkpoint: folder,
    data,
    signal,
    ...options
  } = checkOptions(given, evaluateTable, {
    what: 'evaluateCheckpoint',
  });
  const {
    evalSequences,
    sequenceLength: chosenLength,
    batchSize: chosenSize = 8,
    ...engineOptions
  } = options;
  const found = await readCheckpointModel(folder);
  const { checkpoint, state, model } = found;
  const sequenceLength = chosenLength ?? state.training.sequenceLength;
  checkValue(sequenceLength, wholeNumber(1, model.maxSequenceLength), 'sequenceLength');
  const tokenizer = tokenizerOf(checkpoint, state);
  const prepared = await Dataset.prepare(
    { train: data, validation: data, tokenizer },
    { sequenceLength, vocabularySize: model.vocabularySize, seed: 0 },
  );
  await using resources = new Resources();
  const dataset = resources.use(await Dataset.open(prepared));
  const count = Math.min(dataset.numValidationSequences, evalSequences ?? Infinity);
  const batchSize = Math.min(chosenSize, count);
  const work = { entry: 'evaluate', batchSize, sequenceLength } as const;
  const engine = await loadCheckpointModel(found, work, engineOptions, resources);
  const report = await evaluateLoss(engine, dataset, { step: state.step, batchSize, limit: count, signal });
  return { checkpoint, ...report };
}
