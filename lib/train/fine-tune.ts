import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isPackedData } from '../data/index.js';
import {
  hasLabelLists,
  pathsOf,
  type RecordDataOptions,
  type RecordStatistics,
} from '../data/records/index.js';
import type { Model } from '../graph/index.js';
import { compact } from '../methods/index.js';
import type { Method } from '../methods/index.js';
import { checkOptions } from '../options.js';
import { computedDType, openBaseModel } from './weights/base-model.js';
import { listCheckpoints } from './checkpoints/checkpoint-folder.js';
import { exportAdapters } from './interchange/export-adapters.js';
import { exportModel } from './interchange/export-model.js';
import { loadModel } from './weights/load-model.js';
import { lengthFor, measureRecords } from './evaluation/measure-records.js';
import { arePaths, withTokenizer } from './options/given-data.js';
import { resolveOptions } from './options/options.js';
import { Trainer } from './trainer.js';
import { fineTuneTable } from './options/fine-tune-table.js';
import type { TrainerOptions, TrainResult } from './options/types.js';

/** Options of `fineTune`: those of a trainer, of which all but three have defaults for it. */
export interface FineTuneOptions extends Partial<Omit<TrainerOptions, 'model' | 'data' | 'baseModel'>> {
  /**
   * What is trained further: a folder in the layout of Hugging Face's checkpoints, such as a downloaded model, or a
   * checkpoint of this package, or an output folder: its latest.
   */
  readonly model: string;
  /** Files of records, or where records come from and how they become sequences. */
  readonly data: RecordDataOptions['records'] | RecordDataOptions;
  /** Checkpoints, metrics.jsonl and the trained model, in a folder `model`, go here. */
  readonly outputDirectory: string;
}

/** A fine-tuning that has ended. */
export interface FineTuneResult extends TrainResult {
  /** The trained model, adapters merged into the weights that it was trained from; undefined when no step was done. */
  readonly folder: string | undefined;
  /** The adapters alone, as PEFT reads them, where the method trains nothing else. */
  readonly adapters: string | undefined;
}

const epochsOfTexts = 3;
/** Preferences are learnt in less: what more of it adds goes away from the reference. */
const epochsOfPairs = 1;
/** Records that a step learns from, as many as usual. */
const recordsOfStep = 16;
/** Tokens of a micro-batch at most, unless one sequence has more: what stands in memory at a time. */
const tokensOfMicroBatch = 4096;

/**
 * The options of a trainer that fine-tunes a model on records. What is left out is chosen by the model and the data: the
 * type of the numbers is that of the files (bf16 for F16), a sequence holds the longest record, a step learns from about 16
 * records. The others are compact, three epochs, a cosine after a short warm-up, and an evaluation after each epoch. Preference
 * pairs are learnt by DPO, in one epoch.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*, ERR_COMPACT_MODEL_*, ERR_COMPACT_CHECKPOINT_*, ERR_COMPACT_TOKENIZER,
 *   ERR_COMPACT_CHAT_TEMPLATE, ERR_COMPACT_DATA_*
 */
export async function fineTuneOptions(given: FineTuneOptions): Promise<TrainerOptions> {
  const checked = checkOptions(given, fineTuneTable, { what: 'fineTune' });
  const { model: source, data: givenData, ...chosen } = checked as FineTuneOptions;
  const folder = (await listCheckpoints(source)).at(-1)?.path ?? source;
  const data = dataOf(givenData, folder);
  const model = await modelFor(folder, data);
  await using base = await openBaseModel(folder, model);
  const method = chosen.method ?? compact();
  const statistics = await measureRecords(data, chosen.sequenceLength ?? model.maxSequenceLength, model);
  const isPaired = statistics.kind === 'preference';
  const preference = chosen.preference ?? (isPaired ? {} : undefined);
  const numEpochs = isPaired ? epochsOfPairs : epochsOfTexts;
  const canHoldOut =
    data.validation !== undefined || (data.validationFraction !== 0 && statistics.numRecords > 1);
  const options: TrainerOptions = {
    dtype: computedDType(base),
    lrSchedulerType: 'cosine',
    ...(chosen.warmupSteps === undefined && { warmupRatio: 0.03 }),
    ...(chosen.maxSteps === undefined && { numTrainEpochs: numEpochs }),
    evalSteps: canHoldOut ? 1 / Math.max(2, chosen.numTrainEpochs ?? numEpochs) : 0,
    learningRate: usualRate(method, isPaired),
    ...sizesOf(statistics, { ...chosen, method, model, data }),
    ...chosen,
    ...(preference && { preference }),
    model,
    method,
    data,
    baseModel: folder,
  };
  resolveOptions(options); // what options say of each other
  return options;
}

/**
 * Trains a model further on records, and writes it as a folder that other programs open.
 *
 * @param onStart told the trainer before its first step: for its events, its plan, and to stop it
 * @throws what `fineTuneOptions`, `Trainer.create`, an iteration and `exportModel` throw
 * @example
 * const { folder } = await fineTune({ model: 'downloads/my-llama', data: 'chats.jsonl', outputDirectory: 'runs/mine' });
 */
export async function fineTune(
  given: FineTuneOptions,
  onStart: (trainer: Trainer) => void = () => {},
): Promise<FineTuneResult> {
  const options = await fineTuneOptions(given);
  await using trainer = await Trainer.create(options);
  onStart(trainer);
  return exportTrained(await trainer.run(), options);
}

/**
 * Writes what a run has trained as folders that other programs open, `model-<step>` in its output folder, and of adapters
 * `adapters-<step>`; what is there already is left as it is. Where the best model was asked for, it is that one.
 * @throws what `exportModel` and `exportAdapters` throw
 */
export async function exportTrained(
  result: TrainResult,
  { outputDirectory, baseModel, method }: Pick<TrainerOptions, 'outputDirectory' | 'baseModel' | 'method'>,
): Promise<FineTuneResult> {
  const checkpoint = result.bestModel ?? result.checkpoint;
  if (checkpoint === undefined || outputDirectory === undefined)
    return { ...result, folder: undefined, adapters: undefined };
  const { step, path: from } = checkpoint;
  const folder = join(outputDirectory, `model-${step}`);
  const adapters = trainsAdaptersAlone(method) ? join(outputDirectory, `adapters-${step}`) : undefined;
  if (adapters !== undefined && !existsSync(adapters))
    await exportAdapters({ checkpoint: from, folder: adapters });
  // The run may hold the weights beside adapters in other numbers than their files do.
  const base = adapters === undefined ? undefined : baseModel;
  if (!existsSync(folder)) await exportModel({ checkpoint: from, folder, baseModel: base });
  return { ...result, folder, adapters };
}

/** ReLoRA merges its adapters into the weights again and again. */
const trainsAdaptersAlone = (method: Method): boolean =>
  method.describe()['r'] !== undefined && method.name !== 'relora';

function dataOf(given: FineTuneOptions['data'], folder: string): RecordDataOptions {
  return withTokenizer(arePaths(given) ? { records: given } : given, folder) as RecordDataOptions;
}

/** A model that reads padded sequences learns a class, classes, or a number, where the data has them. */
async function modelFor(folder: string, data: RecordDataOptions): Promise<Model> {
  const { classes, regression, records, format, separator } = data;
  const model = loadModel(folder);
  const isEncoder = model.batchFields.some(({ name }) => name === 'attentionMask');
  if (isEncoder && regression === true) return loadModel(folder, { task: 'regression' });
  if (!isEncoder || classes === undefined) return model;
  const labels = typeof classes === 'number' ? { numLabels: classes } : { labelNames: classes };
  const isMultiLabel = await hasLabelLists(pathsOf(records)[0]!, { format, separator });
  const task = isMultiLabel ? 'multi-label-classification' : 'sequence-classification';
  return loadModel(folder, { task, ...labels });
}

/**
 * Adapters take ten times the rate of whole weights; what a method scales its updates by is made up for. Rates for preferences
 * are those of TRL's DPO script: 5e-7, and 5e-6 for adapters.
 */
export function usualRate(method: Method, isPaired: boolean): number {
  const { r, updateScale = 1 } = method.describe() as { readonly r?: number; readonly updateScale?: number };
  const [ofWeights, ofAdapters] = isPaired ? [5e-7, 5e-6] : [2e-5, 2e-4];
  return (r === undefined ? ofWeights : ofAdapters) / updateScale;
}

function sizesOf(
  statistics: RecordStatistics,
  given: Pick<FineTuneOptions, 'sequenceLength' | 'batchSize' | 'gradientAccumulationSteps'> & {
    readonly method: Method;
    readonly data: RecordDataOptions;
    readonly model: Model;
  },
): Required<Pick<TrainerOptions, 'sequenceLength' | 'batchSize' | 'gradientAccumulationSteps'>> {
  const { model, data } = given;
  const { sequenceLength = lengthFor(statistics, model.maxSequenceLength) } = given;
  const meanLength = statistics.numTokens / statistics.numRecords;
  // A pair is two sequences, which stay together.
  const unit = statistics.kind === 'preference' ? 2 : 1;
  const isPacked = unit === 1 && isPackedData(data, model.batchFields);
  const recordsOfSequence = isPacked ? sequenceLength / meanLength : 1;
  const sequencesOfStep = unit * Math.max(1, Math.round(recordsOfStep / Math.max(1, recordsOfSequence)));
  const { gradientAccumulationSteps, batchSize } = given;
  if (batchSize !== undefined || gradientAccumulationSteps !== undefined) {
    const steps = gradientAccumulationSteps ?? 1;
    const size = batchSize ?? unit * Math.ceil(sequencesOfStep / unit / steps);
    return { sequenceLength, batchSize: size, gradientAccumulationSteps: steps };
  }
  const fitting = unit * Math.max(1, Math.floor(tokensOfMicroBatch / sequenceLength / unit));
  const size = given.method.updatesInBackward === true ? sequencesOfStep : Math.min(sequencesOfStep, fitting);
  return {
    sequenceLength,
    batchSize: size,
    gradientAccumulationSteps:
      given.method.updatesInBackward === true ? 1 : Math.ceil(sequencesOfStep / size),
  };
}
