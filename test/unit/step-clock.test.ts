/** What a method counts from step to step: the numbers of projections above all. */
import { describe, expect, test } from '@jest/globals';
import { compact, type CompactOptions, dense, relora, StepClock } from '../../lib/methods/index.js';

const every = (refreshInterval: number, momentsAtRefresh: CompactOptions['momentsAtRefresh'] = 'keep') =>
  compact({ refreshInterval, momentsAtRefresh });

/** Runs steps of some micro-batches each; tells the epoch of every micro-batch and the steps that end in a refresh. */
function run(clock: StepClock, numSteps: number, numMicroBatches = 1) {
  const epochs: number[][] = [];
  const refreshes: number[] = [];
  for (let i = 0; i < numSteps; i++) {
    const { step } = clock.scalars;
    epochs.push(Array.from({ length: numMicroBatches }, () => clock.scalars.projectionEpoch!));
    if (clock.completeStep() !== undefined) refreshes.push(step!);
  }
  return { epochs, refreshes };
}

test('the epoch is the number of whole intervals that are done', () => {
  const { epochs, refreshes } = run(new StepClock(every(3)), 8);
  expect(epochs.flat()).toEqual([0, 0, 0, 1, 1, 1, 2, 2]);
  expect(refreshes).toEqual([3, 6]);
});

test('all micro-batches of a step see one projection', () => {
  for (const { epochs } of [1, 2, 5].map((interval) => run(new StepClock(every(interval)), 9, 4)))
    for (const window of epochs) expect(new Set(window).size).toBe(1);
});

test('a refresh tells the new epoch, and what runs then sees the old one too', () => {
  const clock = new StepClock(every(2, 'transfer'));
  expect([clock.completeStep(), clock.completeStep()]).toEqual([
    undefined,
    { entries: ['refresh'], report: { projectionEpoch: 1 } },
  ]);
  expect(clock.scalars).toEqual({
    step: 3,
    firstMomentStep: 3,
    projectionEpoch: 1,
    previousProjectionEpoch: 0,
  });
  const kept = new StepClock(every(1));
  expect(kept.completeStep()).toEqual({ entries: [], report: { projectionEpoch: 1 } });
});

test('the count of the first moment starts again where it is reset, that of the steps does not', () => {
  const clock = new StepClock(every(3, 'reset'));
  const counts = Array.from({ length: 7 }, () => {
    const { firstMomentStep, step } = clock.scalars;
    clock.completeStep();
    return [firstMomentStep, step];
  });
  expect(counts).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [1, 4],
    [2, 5],
    [3, 6],
    [1, 7],
  ]);
});

test('a method without clocks counts steps and nothing else', () => {
  const clock = new StepClock(dense());
  expect(clock.scalars).toEqual({ step: 1 });
  expect(clock.completeStep()).toBeUndefined();
  expect(clock.scalars).toEqual({ step: 2 });
  expect(clock.states()).toEqual({});
});

test('several clocks: numbers, entries and factors of all, and the variant that is due', () => {
  const counter = (name: string, variant?: string) => ({
    scalars: [name],
    start: () => {
      let count = 0;
      return {
        get scalars() {
          return { [name]: count };
        },
        variant,
        learningRateFactor: 0.5,
        completeStep: () => ({ entries: [`after ${name}`], report: { [name]: ++count } }),
        state: () => count,
        restore: (state: unknown) => void (count = state as number),
      };
    },
  });
  const clock = new StepClock({ ...dense(), clocks: { a: counter('a'), b: counter('b', 'wide') } });
  expect(clock.variant).toBe('wide');
  expect(clock.learningRateFactor).toBe(0.25);
  expect(clock.completeStep()).toEqual({ entries: ['after a', 'after b'], report: { a: 1, b: 1 } });
  expect(clock.scalars).toEqual({ step: 2, a: 1, b: 1 });
  expect(clock.states()).toEqual({ a: 1, b: 1 });
});

test('adapters restart after every interval, each time with the next drawing and a rising learning rate', () => {
  const options = { resetInterval: 3, restartWarmupSteps: 4, seed: 2 ** 32 + 7 };
  const clock = new StepClock(relora(options));
  const steps = Array.from({ length: 8 }, () => {
    const { learningRateFactor, scalars } = clock;
    return [scalars.adapterDrawing, learningRateFactor, clock.completeStep()?.entries];
  });
  const both = ['merge', 'restart'];
  expect(steps).toEqual([
    [1, 1, undefined],
    [1, 1, undefined],
    [1, 1, both],
    [2, 0.25, undefined],
    [2, 0.5, undefined],
    [2, 0.75, both],
    [3, 0.25, undefined],
    [3, 0.5, undefined],
  ]);
  expect(new StepClock(relora({ ...options, restartWarmupSteps: 0 })).learningRateFactor).toBe(1);
  const other = new StepClock(relora(options));
  other.restore(8, JSON.parse(JSON.stringify(clock.states())));
  expect([other.scalars, other.learningRateFactor]).toEqual([clock.scalars, clock.learningRateFactor]);
  for (const states of [{ restart: { steps: 7 } }, { restart: { steps: -8 } }, { restart: {} }])
    expect(() => other.restore(8, states)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
    );
});

describe('state', () => {
  test.each([0, 1, 3, 4, 7])('restored after %d steps, a run goes on as if uninterrupted', (numSteps) => {
    const [whole, first, second] = Array.from({ length: 3 }, () => new StepClock(every(3, 'reset')));
    run(whole!, numSteps);
    run(first!, numSteps);
    second!.restore(first!.completedSteps, JSON.parse(JSON.stringify(first!.states())));
    for (let i = 0; i < 10; i++) {
      expect(second!.scalars).toEqual(whole!.scalars);
      expect(second!.completeStep()).toEqual(whole!.completeStep());
    }
  });

  test('with another interval, no epoch is used twice', () => {
    const clock = new StepClock(every(2));
    run(clock, 6);
    const next = new StepClock(every(5));
    next.restore(6, clock.states());
    expect(run(next, 10).epochs.flat()).toEqual([3, 3, 3, 3, 3, 4, 4, 4, 4, 4]);
  });

  test.each<[string, object]>([
    ['a negative count', { projection: { stepsSinceRefresh: -1, firstMomentSteps: 5, epoch: 2 } }],
    ['a part of a step', { projection: { stepsSinceRefresh: 1, firstMomentSteps: 5, epoch: 0.5 } }],
    ['more refreshes than steps', { projection: { stepsSinceRefresh: 1, firstMomentSteps: 5, epoch: 9 } }],
    ['a missing count', { projection: { stepsSinceRefresh: 1, epoch: 2 } }],
    ['no state of the clock', {}],
    ['the state of another clock', { projection: {}, restarts: {} }],
    ['a state that is no mapping', [1] as never],
  ])('%s is refused', (_what, states) => {
    expect(() => new StepClock(every(2)).restore(5, states as never)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
    );
  });
});
