// Learning-rate schedules with the names and curves of transformers.optimization. As with PyTorch's LambdaLR, the
// argument is the number of optimizer steps already taken: 0 for the first step, so a warm-up starts at 0.
import { compactError } from '../../errors.js';
import {
  checkOptions,
  checkValue,
  numberFrom,
  oneOf,
  optional,
  wholeNumber,
  type OptionTable,
} from '../../options.js';

/** Names of all schedules. */
export const learningRateScheduleNames = [
  'linear',
  'cosine',
  'cosine_with_min_lr',
  'constant',
  'constant_with_warmup',
  'inverse_sqrt',
  'warmup_stable_decay',
] as const;
/** The names and curves of Hugging Face's `lr_scheduler_type`. */
export type LearningRateScheduleName = (typeof learningRateScheduleNames)[number];

/** What a schedule is made of; steps are optimizer steps. */
export interface LearningRateScheduleOptions {
  readonly type: LearningRateScheduleName;
  /** The peak. */
  readonly learningRate: number;
  /** Optimizer steps of the whole run. */
  readonly maxSteps: number;
  /** Steps from 0 to the peak; this or `warmupRatio`. Default 0. */
  readonly warmupSteps?: number;
  /** The same as a share of `maxSteps`, rounded up. */
  readonly warmupRatio?: number;
  /**
   * Last learning rate as a share of the peak, for 'cosine_with_min_lr' (default 0.1) and 'warmup_stable_decay'
   * (default 0); this or `minLr`.
   */
  readonly minLrRate?: number;
  readonly minLr?: number;
  /** Steps of the last, cosine-shaped phase of 'warmup_stable_decay'. Default a tenth of `maxSteps`, rounded up. */
  readonly decaySteps?: number;
}

/** Learning rate after a number of completed optimizer steps. */
export type LearningRateSchedule = (completedSteps: number) => number;

export const scheduleTable = {
  type: oneOf(learningRateScheduleNames),
  learningRate: numberFrom(0),
  maxSteps: wholeNumber(1),
  warmupSteps: optional(wholeNumber(0)),
  warmupRatio: optional(numberFrom(0, 1)),
  minLrRate: optional(numberFrom(0, 1)),
  minLr: optional(numberFrom(0)),
  decaySteps: optional(wholeNumber(0)),
} satisfies OptionTable<LearningRateScheduleOptions>;

/**
 * The schedule of a run: a warm-up from 0 to the peak, then the curve of its type, which `linear` and `cosine` end at 0.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example
 * const rateAfter = learningRateSchedule({ type: 'cosine', learningRate: 0.001, maxSteps: 1000, warmupSteps: 100 });
 * rateAfter(50); // 0.0005
 */
export function learningRateSchedule(given: LearningRateScheduleOptions): LearningRateSchedule {
  const options = checkOptions(given, scheduleTable, { what: 'learningRateSchedule' });
  const factorAt = curves[options.type](resolve(options));
  return (completedSteps) =>
    options.learningRate * factorAt(checkValue(completedSteps, numberFrom(0), 'completedSteps'));
}

interface Settings {
  readonly maxSteps: number;
  readonly warmupSteps: number;
  readonly decaySteps: number;
  readonly minLrRate: number;
}

function resolve(options: LearningRateScheduleOptions): Settings {
  const { type, learningRate, maxSteps, warmupSteps, warmupRatio, minLrRate, minLr } = options;
  const { decaySteps = Math.ceil(maxSteps / 10) } = options;
  refuseBoth({ warmupSteps, warmupRatio });
  refuseBoth({ minLrRate, minLr });
  const warmup = warmupSteps ?? Math.ceil(maxSteps * (warmupRatio ?? 0));
  const fallback = type === 'cosine_with_min_lr' ? 0.1 : 0;
  if (minLr !== undefined) checkValue(minLr, numberFrom(0, learningRate), 'minLr');
  const rate = minLrRate ?? (minLr === undefined ? fallback : minLr / (learningRate || 1));
  return { maxSteps, warmupSteps: warmup, decaySteps, minLrRate: rate };
}

/** Two options that say the same in two ways. */
function refuseBoth(options: Readonly<Record<string, number | undefined>>): void {
  const [[first, value], [second, other]] = Object.entries(options) as [[string, number], [string, number]];
  if (value === undefined || other === undefined) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${first} and ${second} exclude each other`, {
    op: first,
    expected: `${first} or ${second}`,
    received: `both: ${first} ${value} and ${second} ${other}`,
    remedy: `Leave one of them out`,
    details: { excluded: [first, second] },
  });
}

const linearWarmup = (step: number, warmupSteps: number): number => step / Math.max(1, warmupSteps);

/** 1 at progress 0 to 0 at progress 1, along half a cosine. */
const halfCosine = (progress: number): number => 0.5 * (1 + Math.cos(Math.PI * progress));

/** Warm-up, then a curve over the share of the remaining steps that is done. */
const warmupThen =
  (after: (progress: number) => number) =>
  ({ warmupSteps, maxSteps }: Settings): LearningRateSchedule =>
  (step) =>
    step < warmupSteps
      ? linearWarmup(step, warmupSteps)
      : Math.max(0, after((step - warmupSteps) / Math.max(1, maxSteps - warmupSteps)));

const withFloor = (factor: number, minLrRate: number): number => factor * (1 - minLrRate) + minLrRate;

const curves: Readonly<Record<LearningRateScheduleName, (settings: Settings) => LearningRateSchedule>> = {
  constant: () => () => 1,
  constant_with_warmup: warmupThen(() => 1),
  linear: warmupThen((progress) => 1 - progress),
  cosine: warmupThen(halfCosine),
  cosine_with_min_lr: (settings) =>
    warmupThen((progress) => withFloor(halfCosine(progress), settings.minLrRate))(settings),
  // Falls as 1 / sqrt(step); without a warm-up the time scale is 10,000 steps.
  inverse_sqrt({ warmupSteps }) {
    const timescale = warmupSteps || 10_000;
    return (step) =>
      step < warmupSteps
        ? linearWarmup(step, warmupSteps)
        : 1 / Math.sqrt((step + timescale - warmupSteps) / timescale);
  },
  warmup_stable_decay({ warmupSteps, maxSteps, decaySteps, minLrRate }) {
    const decayStart = Math.max(warmupSteps, maxSteps - decaySteps);
    return (step) => {
      if (step < warmupSteps) return withFloor(linearWarmup(step, warmupSteps), minLrRate);
      if (step < decayStart) return 1;
      if (step >= decayStart + decaySteps) return minLrRate;
      return withFloor(halfCosine((step - decayStart) / decaySteps), minLrRate);
    };
  },
};
