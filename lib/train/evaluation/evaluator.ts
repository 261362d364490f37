import { stat } from 'node:fs/promises';
import * as v from 'valibot';
import { dataTable } from '../../data/data-table.js';
import { isPackedData, isRecordData, prepareData } from '../../data/index.js';
import type { DataOptions, RecordDataOptions } from '../../data/index.js';
import { firstKind, labelField } from '../../data/records/index.js';
import {
  checkOptions,
  checkValue,
  oneOf,
  optional,
  path,
  section,
  shown,
  text,
  wholeNumber,
  type OptionTable,
} from '../../options.js';
import { engineTable } from '../../runtime/options.js';
import { compactError } from '../../errors.js';
import { checkFields, vocabularyOf } from '../batch-fields.js';
import { evaluateLoss } from './evaluate.js';
import { arePaths, withTokenizer } from '../options/given-data.js';
import { lengthFor, measureRecords } from './measure-records.js';
import { exactMatch, numWithoutMark, tokenAccuracy } from './metrics/index.js';
import { answerEnds, readReferences, type Reference } from './references.js';
import { textEnds } from '../generation/text-ends.js';
import { checkGenerates } from '../generation/text-model.js';
import { Resources } from '../resources.js';
import {
  defaultSequenceLength,
  loadStoredModel,
  readStoredModel,
  type StoredModel,
} from '../weights/stored-model.js';
import { maxBatchTokens, trainerTable } from '../options/trainer-table.js';
import type { EvaluateReport, TrainerOptions } from '../options/types.js';

/** What can be measured of a model of tokens beside its loss. */
export const evaluationMetrics = ['accuracy', 'exactMatch'] as const;
/** One of them. */
export type EvaluationMetric = (typeof evaluationMetrics)[number];

/** Options of `evaluateModel`. */
export interface EvaluateOptions
  extends
    Pick<TrainerOptions, 'device' | 'threads' | 'instructionSet' | 'blas' | 'graphs' | 'memoryLimitBytes'>,
    Pick<TrainerOptions, 'evalSequences' | 'onTokenize' | 'signal'> {
  /** A checkpoint, an output folder: its latest, or a folder in the layout of Hugging Face's checkpoints. */
  readonly model: string;
  /**
   * Files or folders of text, or the name of a packaged corpus; or files of records, which are told by the first one:
   * conversations, and prompts with completions. Or a mapping that says which of the two, and how they become tokens: the
   * tokenizer is the model's.
   */
  readonly data: DataOptions['train'] | DataOptions | RecordDataOptions;
  /** Tokens of one sequence. Default: of records the longest, of text those that a checkpoint was trained on, else 2048, or all that the model can have. */
  readonly sequenceLength?: number;
  /** Sequences at a time; the result does not depend on it but for rounding. Default 8, or all if they are fewer. */
  readonly batchSize?: number;
  /**
   * Of a model of tokens: what is measured beside the loss. 'accuracy' is the share of tokens that are likeliest where they
   * stand; it takes the memory of a sequence's logits. 'exactMatch' is the share of records whose last answer, a completion or what
   * the assistant says last, the model writes itself, by its likeliest tokens, within `sequenceLength`; white space around it does not
   * count. Models for classes tell all of theirs. Default: nothing.
   */
  readonly metrics?: readonly EvaluationMetric[];
  /** Of 'exactMatch': only what follows the last of these marks is compared, e.g. '####'. Default: all of the answer. */
  readonly answerAfter?: string;
}

/** How well a model predicts some data. */
export interface ModelEvaluation extends Omit<EvaluateReport, 'step'> {
  /** The folder that was used. */
  readonly model: string;
  /** Optimizer steps of a checkpoint. */
  readonly step: number | undefined;
  /** Of 'exactMatch': records whose answers were compared. */
  readonly numRecords?: number;
  /** Sentences on what may not be as the user thinks: text left out, unknown, or not separated. */
  readonly warnings: readonly string[];
}

const evaluateTable = {
  ...engineTable,
  model: path,
  data: v.union([dataTable.train, section], 'a path, a list of paths, or a plain object'),
  evalSequences: trainerTable.evalSequences,
  sequenceLength: optional(wholeNumber(1)),
  batchSize: optional(wholeNumber(1, maxBatchTokens), 8),
  metrics: optional(v.array(oneOf(evaluationMetrics), "a list of 'accuracy' and 'exactMatch'"), []),
  answerAfter: optional(v.pipe(text, v.nonEmpty('a text that is not empty'))),
  onTokenize: trainerTable.onTokenize,
  signal: trainerTable.signal,
} satisfies OptionTable<Omit<EvaluateOptions, 'data'> & { readonly data: unknown }>;

/**
 * Loss and perplexity of text or records under a model. Text is cut into whole sequences, each predicted by itself; of
 * records, each by itself, what counts is what is learnt of them.
 *
 * @example
 * const { perplexity } = await evaluateModel({ model: 'runs/demo', data: 'held-out.txt' });
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_MODEL_*, ERR_COMPACT_TOKENIZER,
 *   ERR_COMPACT_CHAT_TEMPLATE, ERR_COMPACT_DATA_*, ERR_COMPACT_DEVICE_UNAVAILABLE, ERR_COMPACT_DOES_NOT_FIT,
 *   ERR_COMPACT_ABORTED
 */
export async function evaluateModel(given: EvaluateOptions): Promise<ModelEvaluation> {
  const options = checkOptions(given, evaluateTable, { what: 'evaluateModel' });
  const { model: source, data: givenData, signal, onTokenize, ...others } = options;
  const {
    evalSequences = Infinity,
    sequenceLength: wantedLength,
    batchSize,
    metrics: wanted,
    answerAfter,
    ...engineOptions
  } = others;
  const found = await readStoredModel(source, tokenizerOf(givenData));
  const { model, step } = found;
  const asksAnswers = wanted.includes('exactMatch');
  if (asksAnswers) checkGenerates(model);
  if (answerAfter !== undefined && !asksAnswers)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'answerAfter has nothing to act on', {
      op: 'answerAfter',
      expected: "'exactMatch' among the metrics",
      received: shown(answerAfter),
    });
  const data = await dataOf(givenData, found);
  const sequenceLength = wantedLength ?? (await usualSequenceLength(data, found));
  checkValue(sequenceLength, wholeNumber(1, model.maxSequenceLength), 'sequenceLength');
  const vocabularySize = vocabularyOf(model);
  const reading = { sequenceLength, vocabularySize, seed: 0, isHeldOut: true };
  checkFields(model, data);
  const prepared = await prepareData(data, reading, model.batchFields);
  const references = asksAnswers ? await referencesOf(data, sequenceLength, evalSequences) : [];
  await using resources = new Resources();
  const { threads } = engineOptions;
  const control = { signal, onProgress: onTokenize, threads };
  const dataset = resources.use(await prepared.open(undefined, control));
  const count = Math.min(dataset.numValidationSequences, evalSequences);
  const isLabelled = labelField(model.batchFields) !== undefined;
  const asksTokens = wanted.includes('accuracy') && !isLabelled;
  const work = {
    entries: [
      'evaluate',
      ...(isLabelled || asksAnswers ? (['generate'] as const) : []),
      ...(asksTokens ? (['predict'] as const) : []),
    ],
    batchSize: Math.min(batchSize, count),
    generateBatchSize: Math.min(batchSize, count),
    sequenceLength,
    isPacked: isPackedData(data, model.batchFields),
  } satisfies Parameters<typeof loadStoredModel>[1];
  const { engine, plan } = await loadStoredModel(found, work, engineOptions, resources);
  const { generateBatchSize } = work;
  const { batchFields } = model;
  const read = {
    step: step ?? 0,
    batchFields,
    batchSize: work.batchSize,
    generateBatchSize,
    limit: count,
    signal,
  };
  const report = await evaluateLoss(engine, dataset, read);
  const { warnings } = dataset;
  const measured = { ...report, step, model: found.path, warnings };
  if (!asksTokens && !asksAnswers) return measured;
  const accuracy = asksTokens ? await tokenAccuracy(engine, dataset, read) : undefined;
  if (!asksAnswers) return { ...measured, metrics: { accuracy: accuracy! } };
  const { tokenizer } = found;
  const endIds = new Set([...(await textEnds(found)).endIds, ...answerEnds(references, tokenizer)]);
  const answering = { engine, plan, tokenizer, contextLength: sequenceLength, endIds };
  const matched = await exactMatch(answering, references, { answerAfter, signal });
  const numUnmarked = numWithoutMark(answering, references, answerAfter);
  const unmarked =
    numUnmarked === 0
      ? []
      : [
          `${numUnmarked} of ${references.length} answers hold no ${answerAfter}, and count as wrong whatever is written.`,
        ];
  const metrics = { ...(accuracy !== undefined && { accuracy }), exactMatch: matched };
  return { ...measured, metrics, numRecords: references.length, warnings: [...warnings, ...unmarked] };
}

/**
 * Answers to compare, so many at most.
 * @throws ERR_COMPACT_CONFIG_VALUE for running text, and for records that answer nothing
 */
async function referencesOf(
  data: DataOptions | RecordDataOptions,
  contextLength: number,
  limit: number,
): Promise<readonly Reference[]> {
  if (isRecordData(data)) return (await readReferences(data, contextLength)).slice(0, limit);
  throw compactError('ERR_COMPACT_CONFIG_VALUE', 'exact matches need prompts with their answers', {
    op: 'metrics',
    expected: 'records of prompt and completion, or of messages',
    received: 'running text',
  });
}

/** Another tokenizer than the model's; what is no path is refused with the other options of the data. */
function tokenizerOf(given: unknown): string | undefined {
  const { tokenizer } = Object(given) as { readonly tokenizer?: unknown };
  return typeof tokenizer === 'string' ? tokenizer : undefined;
}

/** What is given, with the model's tokenizer; of paths alone, whether they are text or records is found. */
async function dataOf(
  given: unknown,
  { model, tokenizerPath: tokenizer }: StoredModel,
): Promise<DataOptions | RecordDataOptions> {
  if (!arePaths(given)) return withTokenizer(given, tokenizer);
  const [first] = [given as string | readonly unknown[]].flat();
  const kind = typeof first === 'string' && (await isFile(first)) ? await firstKind(first) : undefined;
  const hasParts = kind === 'messages' || kind === 'completion' || kind === 'preference';
  const isLabelled = kind === 'labels' && labelField(model.batchFields) !== undefined;
  return hasParts || isLabelled
    ? { tokenizer, records: given as string }
    : { tokenizer, train: given as string };
}

/** What the system says of paths that cannot be is said when they are opened. */
const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isFile(),
    () => false,
  );

async function usualSequenceLength(
  data: DataOptions | RecordDataOptions,
  found: StoredModel,
): Promise<number> {
  if (!isRecordData(data)) return defaultSequenceLength(found);
  const { model } = found;
  const { maxSequenceLength } = model;
  return lengthFor(await measureRecords(data, maxSequenceLength, model), maxSequenceLength);
}
