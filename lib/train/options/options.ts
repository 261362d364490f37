import { dataTable } from '../../data/data-table.js';
import { recordDataTable } from '../../data/records/record-data-options.js';
import { isRecordData, type DataOptions, type RecordDataOptions } from '../../data/index.js';
import { byteTokenizer } from '../../data/byte-tokenizer.js';
import { compactError } from '../../errors.js';
import {
  checkOptions,
  checkValue,
  optional,
  path,
  required,
  wholeNumber,
  type Checked,
} from '../../options.js';
import { learningPreferences } from '../../models/preference.js';
import { checkExamples } from '../../compile/compile.js';
import { parseDevice } from '../../runtime/device.js';
import type { EngineOptions } from '../../runtime/index.js';
import { engineTable } from '../../runtime/options.js';
import type { CheckpointState } from '../checkpoints/checkpoint-state.js';
import { measuredMetrics } from '../evaluation/best-metric.js';
import { learningRates } from '../schedule/learning-rates.js';
import { maxBatchTokens, preferenceTable, trainerTable } from './trainer-table.js';
import type { TrainerOptions } from './types.js';

/** Options with every default filled in, checked as far as they can be without files or devices. */
export type TrainerSettings = Omit<Checked<typeof trainerTable>, 'data' | 'preference'> & {
  readonly data: Checked<typeof dataTable> | Checked<typeof recordDataTable>;
  readonly preference?: Checked<typeof preferenceTable>;
};

/** The settings of a run whose data has been opened, so that its length is known. */
export type RunSettings = TrainerSettings & {
  readonly maxSteps: number;
  readonly ratesAt: ReturnType<typeof learningRates>;
};

/** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_ARGUMENT (device) */
export function resolveOptions(options: TrainerOptions): TrainerSettings {
  const checked = checkOptions(options, trainerTable, { what: 'a trainer' });
  const data = checkDataOptions(checked.data, checked.baseModel);
  const preference =
    checked.preference &&
    checkOptions(checked.preference, preferenceTable, { what: 'preference', prefix: 'preference.' });
  const model = preference === undefined ? checked.model : learningPreferences(checked.model, preference);
  const settings = { ...checked, data, preference, model };
  checkRunLength(settings);
  learningRates({ ...settings, maxSteps: settings.maxSteps ?? 1 }); // checks the schedule
  if (settings.device !== undefined && settings.device !== 'auto') parseDevice(settings.device);
  checkSizes(settings);
  checkEvaluation(settings);
  checkMetric(settings);
  checkOutput(settings);
  const { adapter, baseModel } = settings;
  if (adapter !== undefined)
    check('adapter', adapter, baseModel !== undefined, 'a baseModel that it belongs to');
  return settings;
}

/** How many steps a run has, and what follows from that. */
export function settingsOfRun(settings: TrainerSettings, numTrainSequences: number): RunSettings {
  const { batchSize, gradientAccumulationSteps, numTrainEpochs, evalSteps, saveSteps } = settings;
  const stepsOfEpoch = numTrainSequences / (batchSize * gradientAccumulationSteps);
  const maxSteps = settings.maxSteps ?? Math.ceil(numTrainEpochs! * stepsOfEpoch);
  const inSteps = (steps: number): number => (steps < 1 ? Math.ceil(steps * maxSteps) : steps);
  return {
    ...settings,
    maxSteps,
    evalSteps: inSteps(evalSteps),
    saveSteps: inSteps(saveSteps),
    ratesAt: learningRates({ ...settings, maxSteps }),
  };
}

/**
 * Where text or records come from; it becomes tokens by the tokenizer of the weights that the run starts from, where there are any
 * and no other is named.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function checkDataOptions(
  given: Readonly<Record<string, unknown>>,
  baseModel: string | undefined,
): TrainerSettings['data'] {
  const tokenizer = optional(path, baseModel ?? byteTokenizer.name);
  const context = { what: 'data', prefix: 'data.' };
  return isRecordData(given as unknown as DataOptions | RecordDataOptions)
    ? checkOptions(given, { ...recordDataTable, tokenizer }, context)
    : checkOptions(given, { ...dataTable, tokenizer }, context);
}

/** What an engine is told of the settings. */
export const engineOptionsOf = (settings: Pick<TrainerSettings, keyof typeof engineTable>): EngineOptions =>
  Object.fromEntries(
    Object.keys(engineTable).map((name) => [name, settings[name as keyof typeof engineTable]]),
  );

/** What a checkpoint tells of the settings that it was made with. */
export function describeSettings(settings: RunSettings): CheckpointState['training'] {
  const { batchSize, gradientAccumulationSteps, sequenceLength, maxSteps, dtype, seed } = settings;
  const { learningRate, embeddingLearningRate, headLearningRate, normLearningRate } = settings;
  const { layerLearningRateDecay, preference } = settings;
  const { lrSchedulerType, warmupSteps, warmupRatio, minLrRate, maxGradNorm } = settings;
  return {
    batchSize,
    gradientAccumulationSteps,
    sequenceLength,
    maxSteps,
    dtype,
    seed,
    learningRate,
    embeddingLearningRate,
    headLearningRate,
    normLearningRate,
    layerLearningRateDecay,
    lrSchedulerType,
    warmupSteps,
    warmupRatio,
    minLrRate,
    maxGradNorm,
    preference,
  };
}

/** A micro-batch is read whole, so what it would take is refused before anything else. */
function checkSizes({ model, batchSize, sequenceLength }: TrainerSettings): void {
  checkValue(sequenceLength, wholeNumber(1, model.maxSequenceLength), 'sequenceLength');
  checkValue(batchSize, wholeNumber(1, Math.floor(maxBatchTokens / sequenceLength)), 'batchSize');
  checkExamples(model, 'batchSize', batchSize);
}

function checkRunLength({ maxSteps, numTrainEpochs }: TrainerSettings): void {
  if (numTrainEpochs === undefined) checkValue(maxSteps, required(trainerTable.maxSteps), 'maxSteps');
  else if (maxSteps !== undefined)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'maxSteps and numTrainEpochs exclude each other', {
      op: 'numTrainEpochs',
      expected: 'maxSteps or numTrainEpochs',
      received: `both: maxSteps ${maxSteps} and numTrainEpochs ${numTrainEpochs}`,
      remedy: 'Leave one of them out',
      details: { excluded: ['maxSteps', 'numTrainEpochs'] },
    });
}

function checkEvaluation(settings: TrainerSettings): void {
  const { data, evalSteps, earlyStoppingPatience, loadBestModelAtEnd, outputDirectory } = settings;
  check('earlyStoppingPatience', earlyStoppingPatience, earlyStoppingPatience === 0 || evalSteps > 0, needed);
  check('loadBestModelAtEnd', loadBestModelAtEnd, !loadBestModelAtEnd || evalSteps > 0, needed);
  check(
    'loadBestModelAtEnd',
    loadBestModelAtEnd,
    !loadBestModelAtEnd || outputDirectory !== undefined,
    'an outputDirectory to save the best model into',
  );

  const { validation, validationFraction } = data;
  if (evalSteps > 0)
    check(
      'evalSteps',
      evalSteps,
      validation !== undefined || validationFraction > 0,
      'held-out data to evaluate on',
    );
}

/** Evaluations of a run are compared by what they measure. */
function checkMetric({ metricForBestModel: metric, model, evalSteps }: TrainerSettings): void {
  check('metricForBestModel', metric, metric === 'loss' || evalSteps > 0, needed);
  const measured = measuredMetrics(model.batchFields);
  const expected = `one of ${measured.join(', ')}, which evaluations of this model measure`;
  check('metricForBestModel', metric, measured.includes(metric), expected);
}

const needed = 'evalSteps above 0, for there is nothing to compare without evaluations';

function checkOutput({ outputDirectory, saveSteps, resumeFromCheckpoint }: TrainerSettings): void {
  if (outputDirectory !== undefined) return;
  check('saveSteps', saveSteps, saveSteps === 0, 'an outputDirectory to save into');
  check(
    'resumeFromCheckpoint',
    resumeFromCheckpoint,
    resumeFromCheckpoint !== 'latest',
    'an outputDirectory to look in',
  );
}

function check(name: string, value: unknown, isValid: boolean, expected: string): void {
  if (isValid) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not possible`, {
    op: name,
    expected,
    received: JSON.stringify(value),
  });
}
