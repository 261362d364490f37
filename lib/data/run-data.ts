import type { BatchField } from '../graph/index.js';
import { labelField, labelledFields } from './records/labelled-batch.js';
import { referenceField, type PreferenceAnswers } from './records/preference-answers.js';
import { packsRecords, type RecordDataOptions } from './records/record-data-options.js';
import { RecordData } from './records/record-data.js';
import type { RecordStatistics } from './records/statistics.js';
import { Dataset, type DatasetOptions } from './dataset.js';
import { checkMaskToken, MaskedText, maskedFields, readsMaskedText } from './masked-text.js';
import type { TokenizeControl } from './tokenize.js';
import type { Batch, DataOptions, Tokenizer } from './types.js';

/**
 * What a run reads: sequences of training data, shuffled anew every epoch by a seed, and of held-out data. It has no
 * position of its own: a batch is a function of the number of sequences that were consumed before it, which is all that
 * a checkpoint has to hold.
 */
export interface RunData {
  readonly tokenizer: Tokenizer;
  /** The files that rebuild it as training used it, by name. */
  readonly tokenizerFiles: Readonly<Record<string, string>>;
  /** Of the training data. */
  readonly numTokens: number;
  /** Of one epoch. */
  readonly numTrainSequences: number;
  readonly numValidationSequences: number;
  /** Sentences on what may not be as the user thinks. */
  readonly warnings: readonly string[];
  /** What the training data holds, where that is records. */
  readonly statistics?: RecordStatistics;
  /** Differs when the order or content of training sequences does. */
  readonly fingerprint: string;
  /** Targets that count in the loss of the next `count` training sequences after `numConsumed`. */
  numCountedTokens(numConsumed: number, count: number): number;
  /** The next `count` training sequences after `numConsumed`; epochs follow each other without a gap. */
  trainBatch(numConsumed: number, count: number): Promise<Batch>;
  /**
   * `count` held-out sequences from `first` on, in an order that is the same for every seed. Beyond the end, and
   * beyond `limit`, targets are `ignoreIndex`.
   */
  validationBatch(first: number, count: number, limit?: number): Promise<Batch>;
  /** Of preference pairs: their answers, for what has to be known of them before the first step. */
  readonly answers?: readonly PreferenceAnswers[];
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Data that was found good as far as that can be told without reading it. */
export interface PreparedData {
  /**
   * @param cacheDirectory of what is made of the data; absent: a temporary folder, removed by `close`
   * @throws ERR_COMPACT_DATA_*, ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_ABORTED
   */
  open(cacheDirectory?: string, control?: TokenizeControl): Promise<RunData>;
}

/** Whether data is records, each a document of its own, and not running text. */
export const isRecordData = (data: DataOptions | RecordDataOptions): data is RecordDataOptions =>
  'records' in data;

/**
 * Whether sequences hold several documents, and the model has to be told where each begins: where nothing is said, records
 * do whose tokens are learnt.
 */
export const isPackedData = (
  data: DataOptions | RecordDataOptions,
  batchFields: readonly BatchField[],
): boolean => isRecordData(data) && packsRecords(data, batchFields);

/** Names of the arrays that data gives to a model. */
export function fieldsOf(
  data: DataOptions | RecordDataOptions,
  batchFields: readonly BatchField[],
): readonly string[] {
  if (isRecordData(data) && labelField(batchFields) !== undefined) return labelledFields;
  if (isRecordData(data) && referenceField(batchFields) !== undefined)
    return [...Dataset.fields, 'referenceLogProbabilities'];
  return !isRecordData(data) && readsMaskedText(batchFields) ? maskedFields : Dataset.fields;
}

/**
 * Loads the tokenizer and finds the files: everything that can be refused before any work.
 * @param batchFields what the model reads; default: tokens and targets
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE, ERR_COMPACT_DATA_*
 */
export async function prepareData(
  data: DataOptions | RecordDataOptions,
  options: DatasetOptions,
  batchFields: readonly BatchField[] = [],
): Promise<PreparedData> {
  if (isRecordData(data)) return RecordData.prepare(data, options, batchFields);
  const prepared = await Dataset.prepare(data, options);
  if (!readsMaskedText(batchFields))
    return { open: (cacheDirectory, control) => Dataset.open(prepared, cacheDirectory, control) };
  checkMaskToken(prepared.tokenizer);
  return {
    open: async (cacheDirectory, control) =>
      new MaskedText(await Dataset.open(prepared, cacheDirectory, control), options, batchFields),
  };
}
