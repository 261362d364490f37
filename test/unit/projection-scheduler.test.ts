import { describe, expect, test } from '@jest/globals';
import { ProjectionScheduler, type RefreshOptions } from '../../lib/projection/index.js';

const every = (everySteps: number, resetsFirstMoment = false): RefreshOptions => ({
  everySteps,
  resetsFirstMoment,
});

/** Runs steps of some micro-batches each; tells the epoch of every micro-batch and the steps that end in a refresh. */
function run(scheduler: ProjectionScheduler, numSteps: number, numMicroBatches = 1) {
  const epochs: number[][] = [];
  const refreshes: number[] = [];
  for (let i = 0; i < numSteps; i++) {
    const { step } = scheduler.scalars;
    epochs.push(Array.from({ length: numMicroBatches }, () => scheduler.scalars.projectionEpoch));
    if (scheduler.completeStep()) refreshes.push(step);
  }
  return { epochs, refreshes };
}

test('the epoch is the number of whole intervals that are done', () => {
  const { epochs, refreshes } = run(new ProjectionScheduler(every(3)), 8);
  expect(epochs.flat()).toEqual([0, 0, 0, 1, 1, 1, 2, 2]);
  expect(refreshes).toEqual([3, 6]);
});

test('all micro-batches of a step see one projection', () => {
  for (const { epochs } of [1, 2, 5].map((interval) => run(new ProjectionScheduler(every(interval)), 9, 4)))
    for (const window of epochs) expect(new Set(window).size).toBe(1);
});

test('a refresh sees the old and the new epoch', () => {
  const scheduler = new ProjectionScheduler(every(2));
  expect([scheduler.completeStep(), scheduler.completeStep()]).toEqual([false, true]);
  expect(scheduler.scalars).toEqual({
    step: 3,
    firstMomentStep: 3,
    secondMomentStep: 3,
    projectionEpoch: 1,
    previousProjectionEpoch: 0,
  });
});

test('the count of the first moment starts again where it is reset, that of the second does not', () => {
  const scheduler = new ProjectionScheduler(every(3, true));
  const counts = Array.from({ length: 7 }, () => {
    const { firstMomentStep, secondMomentStep } = scheduler.scalars;
    scheduler.completeStep();
    return [firstMomentStep, secondMomentStep];
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

test('a method without refreshes has one epoch for ever', () => {
  const { epochs, refreshes } = run(new ProjectionScheduler(), 100);
  expect(refreshes).toEqual([]);
  expect(new Set(epochs.flat())).toEqual(new Set([0]));
});

describe('state', () => {
  test.each([0, 1, 3, 4, 7])('restored after %d steps, a run goes on as if uninterrupted', (numSteps) => {
    const [whole, first, second] = Array.from({ length: 3 }, () => new ProjectionScheduler(every(3, true)));
    run(whole!, numSteps);
    run(first!, numSteps);
    second!.restore(JSON.parse(JSON.stringify(first!.state())));
    for (let i = 0; i < 10; i++) {
      expect(second!.scalars).toEqual(whole!.scalars);
      expect(second!.completeStep()).toBe(whole!.completeStep());
    }
  });

  test('with another interval, no epoch is used twice', () => {
    const scheduler = new ProjectionScheduler(every(2));
    run(scheduler, 6);
    const next = new ProjectionScheduler(every(5));
    next.restore(scheduler.state());
    expect(run(next, 10).epochs.flat()).toEqual([3, 3, 3, 3, 3, 4, 4, 4, 4, 4]);
  });

  test.each<[string, object]>([
    ['a negative count', { completedSteps: -1 }],
    ['a part of a step', { epoch: 0.5 }],
    ['more refreshes than steps', { epoch: 9 }],
    ['a missing count', { firstMomentSteps: undefined }],
  ])('%s is refused', (_what, change) => {
    const state = { completedSteps: 5, stepsSinceRefresh: 1, firstMomentSteps: 5, epoch: 2, ...change };
    expect(() => new ProjectionScheduler(every(2)).restore(state)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
    );
  });
});
