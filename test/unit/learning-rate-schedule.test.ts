/** Curves at points whose values follow from the definition: ends, middles, and exact cosines. */
import { describe, expect, test } from '@jest/globals';
import {
  learningRateSchedule,
  type LearningRateScheduleName,
  learningRateScheduleNames,
  type LearningRateScheduleOptions,
} from '../../lib/train/index.js';

type Point = readonly [completedSteps: number, factor: number];
type Settings = Partial<LearningRateScheduleOptions>;

const warmup = { maxSteps: 1000, warmupSteps: 100 } as const;
const [cos30, cos45] = [Math.sqrt(3) / 2, Math.SQRT1_2];

// With 100 warm-up steps out of 1000, a third of the rest is done at 400, a quarter at 325, half at 550.
const curves: readonly (readonly [LearningRateScheduleName, Settings, readonly Point[]])[] = [
  [
    'constant',
    warmup,
    [
      [0, 1],
      [50, 1],
      [999, 1],
    ],
  ], // has no warm-up, as its name says
  [
    'constant_with_warmup',
    warmup,
    [
      [0, 0],
      [25, 0.25],
      [100, 1],
      [999, 1],
    ],
  ],
  [
    'linear',
    warmup,
    [
      [0, 0],
      [1, 0.01],
      [99, 0.99],
      [100, 1],
      [325, 0.75],
      [550, 0.5],
      [1000, 0],
      [1100, 0],
    ],
  ],
  [
    'linear',
    { maxSteps: 4 },
    [
      [0, 1],
      [1, 0.75],
      [3, 0.25],
    ],
  ],
  [
    'cosine',
    warmup,
    [
      [0, 0],
      [50, 0.5],
      [100, 1],
      [250, (1 + cos30) / 2],
      [325, (1 + cos45) / 2],
      [400, 0.75],
      [550, 0.5],
      [700, 0.25],
      [1000, 0],
    ],
  ],
  [
    'cosine_with_min_lr',
    { ...warmup, minLrRate: 0.2 },
    [
      [0, 0],
      [50, 0.5],
      [100, 1],
      [400, 0.8],
      [550, 0.6],
      [1000, 0.2],
    ],
  ],
  [
    'cosine_with_min_lr',
    { ...warmup, minLr: 0.0002, learningRate: 0.001 },
    [
      [550, 0.6],
      [1000, 0.2],
    ],
  ],
  [
    'cosine_with_min_lr',
    warmup,
    [
      [550, 0.55],
      [1000, 0.1],
    ],
  ],
  [
    'inverse_sqrt',
    warmup,
    [
      [0, 0],
      [50, 0.5],
      [100, 1],
      [400, 0.5],
      [900, 1 / 3],
      [10_000, 0.1],
    ],
  ],
  [
    'inverse_sqrt',
    { maxSteps: 100 },
    [
      [0, 1],
      [30_000, 0.5],
      [80_000, 1 / 3],
    ],
  ],
  [
    'warmup_stable_decay',
    { ...warmup, decaySteps: 300 },
    [
      [0, 0],
      [50, 0.5],
      [100, 1],
      [699, 1],
      [700, 1],
      [800, 0.75],
      [850, 0.5],
      [900, 0.25],
      [1000, 0],
      [1200, 0],
    ],
  ],
  [
    'warmup_stable_decay',
    { ...warmup, decaySteps: 300, minLrRate: 0.1 },
    [
      [0, 0.1],
      [50, 0.55],
      [100, 1],
      [850, 0.55],
      [1000, 0.1],
    ],
  ],
  [
    'warmup_stable_decay',
    warmup,
    [
      [899, 1],
      [950, 0.5],
      [1000, 0],
    ],
  ],
];

test.each(curves)('%s %p', (type, settings, points) => {
  const peak = settings.learningRate ?? 0.003;
  const schedule = learningRateSchedule({ type, learningRate: peak, maxSteps: 1000, ...settings });
  for (const [step, factor] of points)
    expect([step, schedule(step) / peak]).toEqual([step, expect.closeTo(factor, 12)]);
});

test('a warm-up ratio counts steps upwards', () => {
  const options = { type: 'linear', learningRate: 1, maxSteps: 1001 } as const;
  const [byRatio, bySteps] = [{ warmupRatio: 0.1 }, { warmupSteps: 101 }].map((given) =>
    learningRateSchedule({ ...options, ...given }),
  );
  for (const step of [0, 50, 100, 101, 600]) expect(byRatio!(step)).toBe(bySteps!(step));
});

test.each(learningRateScheduleNames)('%s never leaves the range from 0 to the peak', (type) => {
  const schedule = learningRateSchedule({ type, learningRate: 0.01, maxSteps: 50, warmupSteps: 7 });
  for (let step = 0; step <= 50; step++) {
    expect(schedule(step)).toBeGreaterThanOrEqual(0);
    expect(schedule(step)).toBeLessThanOrEqual(0.01);
  }
});

describe('bad options are refused', () => {
  test.each<[string, object]>([
    ['an unknown name', { type: 'triangle' }],
    ["a name of Object's", { type: 'toString' }],
    ['no steps', { maxSteps: 0 }],
    ['a negative learning rate', { learningRate: -1 }],
    ['both warm-ups', { warmupSteps: 5, warmupRatio: 0.1 }],
    ['a ratio over one', { warmupRatio: 2 }],
    ['half a warm-up step', { warmupSteps: 0.5 }],
    ['both floors', { minLr: 0.1, minLrRate: 0.1 }],
    ['a floor over the peak', { minLr: 2 }],
  ])('%s', (_what, change) => {
    const options = {
      type: 'cosine',
      learningRate: 1,
      maxSteps: 10,
      ...change,
    } as LearningRateScheduleOptions;
    expect(() => learningRateSchedule(options)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE' }),
    );
  });
});
