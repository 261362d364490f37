import { compactError } from '../errors.js';
import { splitSeed } from '../graph/index.js';
import type { CheckpointState } from './checkpoint-state.js';
import { learningRates } from './learning-rates.js';
import type { TrainerOptions } from './types.js';

const defaults = {
  gradientAccumulationSteps: 1,
  lrSchedulerType: 'linear',
  maxGradNorm: 0,
  seed: 42,
  dtype: 'f32',
  gradientDtype: 'f32',
  recompute: 'none',
  updatePlacement: 'layer',
  evalSteps: 0,
  saveSteps: 0,
  saveTotalLimit: 2,
  loggingSteps: 10,
} as const;

/** Options with every default filled in, checked as far as they can be without files or devices. */
export type TrainerSettings = TrainerOptions &
  Required<Pick<TrainerOptions, keyof typeof defaults>> & {
    readonly ratesAt: ReturnType<typeof learningRates>;
  };

/** @throws ERR_COMPACT_CONFIG_VALUE */
export function resolveOptions(options: TrainerOptions): TrainerSettings {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings = { ...defaults, ...given } as Omit<TrainerSettings, 'ratesAt'>;
  for (const name of [
    'batchSize',
    'sequenceLength',
    'gradientAccumulationSteps',
    'maxSteps',
    'loggingSteps',
  ] as const)
    checkWhole(name, settings[name], 1);
  for (const name of ['evalSteps', 'saveSteps', 'saveTotalLimit'] as const)
    checkWhole(name, settings[name], 0);
  if (settings.evalSequences !== undefined) checkWhole('evalSequences', settings.evalSequences, 1);
  check(
    'maxGradNorm',
    settings.maxGradNorm,
    settings.maxGradNorm >= 0 && settings.maxGradNorm < Infinity,
    'not negative',
  );
  for (const name of ['dtype', 'gradientDtype'] as const)
    check(name, settings[name], ['f32', 'bf16'].includes(settings[name]), "'f32' or 'bf16'");
  const { updatePlacement } = settings;
  check('updatePlacement', updatePlacement, ['layer', 'end'].includes(updatePlacement), "'layer' or 'end'");
  check(
    'recompute',
    settings.recompute,
    ['none', 'cheap', 'layer'].includes(settings.recompute),
    "'none', 'cheap' or 'layer'",
  );
  splitSeed(settings.seed);
  checkData(settings);
  checkOutput(settings);
  return { ...settings, ratesAt: learningRates(settings) };
}

/** What a checkpoint tells of the settings that it was made with. */
export function describeSettings(settings: TrainerSettings): CheckpointState['training'] {
  const { batchSize, gradientAccumulationSteps, sequenceLength, maxSteps, dtype, seed } = settings;
  const { learningRate, embeddingLearningRate, headLearningRate, normLearningRate } = settings;
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
    lrSchedulerType,
    warmupSteps,
    warmupRatio,
    minLrRate,
    maxGradNorm,
  };
}

function checkData({ data, evalSteps }: Omit<TrainerSettings, 'ratesAt'>): void {
  const fraction = data.validationFraction ?? 0.05;
  check('data.validationFraction', fraction, fraction >= 0 && fraction < 1, 'from 0 to below 1');
  if (evalSteps > 0)
    check(
      'evalSteps',
      evalSteps,
      data.validation !== undefined || fraction > 0,
      'held-out text to evaluate on',
    );
}

function checkOutput({
  outputDirectory,
  saveSteps,
  resumeFromCheckpoint,
}: Omit<TrainerSettings, 'ratesAt'>): void {
  if (outputDirectory !== undefined) {
    check('outputDirectory', outputDirectory, outputDirectory !== '', 'the name of a folder');
    return;
  }
  check('saveSteps', saveSteps, saveSteps === 0, 'an outputDirectory to save into');
  check(
    'resumeFromCheckpoint',
    resumeFromCheckpoint,
    resumeFromCheckpoint !== 'latest',
    'an outputDirectory to look in',
  );
}

const checkWhole = (name: string, value: number, minimum: number): void =>
  check(name, value, Number.isSafeInteger(value) && value >= minimum, `a whole number from ${minimum}`);

function check(name: string, value: unknown, isValid: boolean, expected: string): void {
  if (isValid) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not possible`, {
    op: name,
    expected,
    received: JSON.stringify(value),
  });
}
