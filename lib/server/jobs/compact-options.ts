import * as v from 'valibot';
import { samplePrompts } from '../../jobs/sample-prompts.js';
import { recordDataTable } from '../../data/records/record-data-options.js';
import { checkOptions, optional, section, wholeNumber } from '../../options.js';
import { trainerTable } from '../../train/options/trainer-table.js';

/** Options of a trainer that a client may choose: none of them names a file, or takes of the machine what a plan does not tell. */
const trainerNames = [
  ...['batchSize', 'sequenceLength', 'gradientAccumulationSteps', 'maxSteps', 'numTrainEpochs'],
  ...['learningRate', 'embeddingLearningRate', 'headLearningRate', 'normLearningRate'],
  ...['layerLearningRateDecay', 'lrSchedulerType', 'warmupSteps', 'warmupRatio', 'minLrRate', 'maxGradNorm'],
  ...['dtype', 'gradientDtype', 'recompute', 'updatePlacement', 'lossChunkTokens', 'preference'],
  ...['evalSteps', 'evalSequences', 'metricForBestModel', 'earlyStoppingPatience', 'loadBestModelAtEnd'],
  ...['saveSteps', 'saveTotalLimit', 'loggingSteps', 'device'],
] as readonly (keyof typeof trainerTable)[];
const dataNames = [
  ...['kind', 'textField', 'classes', 'regression', 'packing', 'validationFraction', 'truncate'],
  ...['splitSpecialTokens', 'addBos', 'addEos'],
] as readonly (keyof typeof recordDataTable)[];

const expectedMethod = 'the name of a method, or { name, ... }';

/** Rows without their defaults: what is left out is chosen where the run is planned. */
const rowsOf = <T extends object>(table: T, names: readonly (keyof T)[]) =>
  Object.fromEntries(
    names.map((name) => {
      const row = table[name] as v.GenericSchema & { readonly wrapped?: v.GenericSchema };
      return [name, optional(row.wrapped ?? row)];
    }),
  );

const compactTable = {
  ...rowsOf(trainerTable, trainerNames),
  method: optional(v.union([v.string(), section], expectedMethod)),
  data: optional(section),
  samplePrompts,
  priority: optional(wholeNumber(-100, 100)),
};
const dataTable = rowsOf(recordDataTable, dataNames);

/**
 * The options of this package in a job's body, `compact`: those of a recipe that a client may choose.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_*
 */
export function checkCompactOptions(given: unknown): Readonly<Record<string, unknown>> {
  const options = checkOptions(given, compactTable, { what: 'compact', prefix: 'compact.' });
  if (options.data === undefined) return options;
  const data = checkOptions(options.data, dataTable, { what: 'compact.data', prefix: 'compact.data.' });
  return { ...options, data };
}
