import { compile, type CompileOptions, type Plan, type Target } from '../compile/index.js';
import { prepareData } from '../data/index.js';
import { checkFields } from './batch-fields.js';
import { resolveOptions, settingsOfRun, type TrainerSettings } from './options/options.js';
import { checkRatesAreUsed } from './schedule/learning-rates.js';
import { compileOptionsOf, readingOf } from './start.js';
import { checkNewHead } from './weights/new-head.js';
import { openStartingWeights } from './weights/starting-weights.js';
import type { TrainerOptions } from './options/types.js';

/** What a run would take and do. */
export interface PlannedRun {
  readonly settings: TrainerSettings;
  readonly plan: Plan;
  readonly compileOptions: CompileOptions;
  readonly maxSteps: number;
  /** Tokens that all steps learn from, about: what is drawn anew in each epoch differs. */
  readonly numTokens: number;
}

/**
 * What a run would take, without doing it: everything is checked as `Trainer.create` checks it, and the data is read, but
 * no device is opened, and nothing is written but temporary files.
 * @throws what `Trainer.create` throws before it opens a device
 */
export async function planRun(options: TrainerOptions, target: Target): Promise<PlannedRun> {
  const settings = resolveOptions(options);
  const { model, method, data, batchSize, gradientAccumulationSteps } = settings;
  await using starting = await openStartingWeights(settings);
  checkNewHead(model, method, starting.base);
  checkFields(model, data);
  const prepared = await prepareData(data, readingOf(settings), model.batchFields);
  await using dataset = await prepared.open();
  const compileOptions = compileOptionsOf(settings, target, starting.base?.newParameters);
  const plan = compile(compileOptions);
  checkRatesAreUsed(settings, plan);
  const { numTrainSequences } = dataset;
  const { maxSteps } = settingsOfRun(settings, numTrainSequences);
  const numEpochs = (maxSteps * batchSize * gradientAccumulationSteps) / numTrainSequences;
  const numTokens = Math.round(numEpochs * dataset.numCountedTokens(0, numTrainSequences));
  return { settings, plan, compileOptions, maxSteps, numTokens };
}
