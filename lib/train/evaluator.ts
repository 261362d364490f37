import { dataTable } from '../data/data-table.js';
import { Dataset } from '../data/index.js';
import type { DataOptions } from '../data/index.js';
import { checkOptions, checkValue, optional, path, wholeNumber, type OptionTable } from '../options.js';
import { engineTable } from '../runtime/options.js';
import { vocabularyOf } from './batch-fields.js';
import { loadCheckpointModel, readCheckpointModel, tokenizerOf } from './checkpoint-model.js';
import { evaluateLoss } from './evaluate.js';
import { Resources } from './resources.js';
import { maxBatchTokens, trainerTable } from './trainer-table.js';
import type { EvaluateReport, TrainerOptions } from './types.js';

/** Options of `evaluateCheckpoint`. */
export interface EvaluateOptions
  extends
    Pick<TrainerOptions, 'device' | 'threads' | 'instructionSet' | 'blas' | 'graphs' | 'memoryLimitBytes'>,
    Pick<TrainerOptions, 'evalSequences' | 'onTokenize' | 'signal'>,
    Pick<DataOptions, 'textField' | 'splitSpecialTokens'> {
  /** A checkpoint, or an output folder: its latest. */
  readonly checkpoint: string;
  /** Files or folders, or the name of a packaged corpus. */
  readonly data: DataOptions['train'];
  /** Tokens of one sequence. Default: those that the checkpoint was trained on. */
  readonly sequenceLength?: number;
  /** Sequences at a time; the result does not depend on it but for rounding. Default 8, or all if they are fewer. */
  readonly batchSize?: number;
}

/** The loss of a text under a checkpoint. */
export interface CheckpointEvaluation extends EvaluateReport {
  /** The checkpoint that was used. */
  readonly checkpoint: string;
  /** Sentences on what may not be as the user thinks: text left out, unknown, or not separated. */
  readonly warnings: readonly string[];
}

const evaluateTable = {
  ...engineTable,
  checkpoint: path,
  data: dataTable.train,
  textField: dataTable.textField,
  splitSpecialTokens: dataTable.splitSpecialTokens,
  evalSequences: trainerTable.evalSequences,
  sequenceLength: optional(wholeNumber(1)),
  batchSize: optional(wholeNumber(1, maxBatchTokens), 8),
  onTokenize: trainerTable.onTokenize,
  signal: trainerTable.signal,
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
  const options = checkOptions(given, evaluateTable, { what: 'evaluateCheckpoint' });
  const { checkpoint: folder, data, textField, splitSpecialTokens, signal, onTokenize, ...others } = options;
  const {
    evalSequences: limit = Infinity,
    sequenceLength: wantedLength,
    batchSize,
    ...engineOptions
  } = others;
  const found = await readCheckpointModel(folder);
  const { checkpoint, state, model } = found;
  const sequenceLength = wantedLength ?? state.training.sequenceLength;
  checkValue(sequenceLength, wholeNumber(1, model.maxSequenceLength), 'sequenceLength');
  const tokenizer = tokenizerOf(checkpoint, state);
  const prepared = await Dataset.prepare(
    { train: data, tokenizer, textField, splitSpecialTokens },
    {
      sequenceLength,
      vocabularySize: vocabularyOf(model),
      slidingWindow: model.slidingWindow,
      seed: 0,
      isHeldOut: true,
    },
  );
  await using resources = new Resources();
  const { threads } = engineOptions;
  const control = { signal, onProgress: onTokenize, threads };
  const dataset = resources.use(await Dataset.open(prepared, undefined, control));
  const count = Math.min(dataset.numValidationSequences, limit);
  const work = { entry: 'evaluate', batchSize: Math.min(batchSize, count), sequenceLength } as const;
  const engine = await loadCheckpointModel(found, work, engineOptions, resources);
  const read = { step: state.step, batchSize: work.batchSize, limit: count, signal };
  const report = await evaluateLoss(engine, dataset, read);
  return { ...report, checkpoint, warnings: dataset.warnings };
}
