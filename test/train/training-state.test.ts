import type { Plan } from '../../lib/compile/index.js';
import type { Batch } from '../../lib/data/index.js';
import { dense } from '../../lib/methods/index.js';
import type { RunOptions, RunResult } from '../../lib/runtime/index.js';
import { learningRates } from '../../lib/train/schedule/learning-rates.js';
import { TrainingState } from '../../lib/train/checkpoints/training-state.js';
import { tinyRun } from '../helpers/tiny-run.js';

/** Batches that tell where they came from, and how many of them exist: read, and not yet given to the engine. */
class CountingData {
  readonly positions: number[] = [];
  numHeld = 0;
  maxHeld = 0;
  failAt = NaN;

  readonly numCountedTokens = (_position: number, count: number): number => 4 * count;

  readonly trainBatch = async (position: number, count: number): Promise<Batch> => {
    this.positions.push(position);
    this.maxHeld = Math.max(this.maxHeld, ++this.numHeld);
    await new Promise(setImmediate);
    if (position === this.failAt) throw new Error(`unreadable at ${position}`);
    const tokens = new Int32Array(4 * count).fill(position);
    return { inputs: { tokens, targets: tokens }, numCountedTokens: 4 * count };
  };
}

function stateOf(data: CountingData, gradientAccumulationSteps: number) {
  const ran: number[] = [];
  const engine = {
    run: async (entry: string, { inputs }: RunOptions = {}): Promise<RunResult> => {
      if (entry === 'accumulate') {
        ran.push(inputs!['tokens']![0]!);
        data.numHeld--;
      }
      await new Promise(setImmediate);
      return { outputs: { loss: Float32Array.of(1) }, durationMs: 1 };
    },
  };
  const plan = { entries: { accumulate: {}, update: {} } } as unknown as Plan;
  const ratesAt = learningRates({ ...tinyRun(''), maxSteps: 8, lrSchedulerType: 'constant' });
  const sizes = { batchSize: 2, gradientAccumulationSteps };
  const state = new TrainingState({ engine, plan, dataset: data, method: dense(), ratesAt, ...sizes });
  return { state, ran };
}

test('however many micro-batches a step has, two are read ahead, in order, each of them once', async () => {
  const data = new CountingData();
  const { state, ran } = stateOf(data, 500);
  for (const step of [1, 2]) {
    expect(await state.advance()).toMatchObject({ numTokens: 500 * 2 * 4 });
    expect(state.counters).toMatchObject({ step, numSequencesSeen: step * 1000, numTokensSeen: step * 4000 });
  }
  const inOrder = Array.from({ length: 1000 }, (_, i) => 2 * i);
  expect(ran).toEqual(inOrder);
  expect(data.positions).toEqual([...inOrder, 2000, 2002]);
  expect(data.maxHeld).toBe(3);
});

test('a step whose data cannot be read changes nothing, and is done in full when it can', async () => {
  const data = new CountingData();
  const { state, ran } = stateOf(data, 5);
  await state.advance();
  data.failAt = 14;
  await expect(state.advance()).rejects.toThrow('unreadable at 14');
  expect(state.counters).toMatchObject({ step: 1, numSequencesSeen: 10 });
  data.failAt = NaN;
  ran.length = 0;
  await state.advance();
  expect(ran).toEqual([10, 12, 14, 16, 18]);
});

test('after going back the data are those of the earlier step', async () => {
  const data = new CountingData();
  const { state, ran } = stateOf(data, 2);
  const start = state.counters;
  for (let i = 0; i < 3; i++) await state.advance();
  ran.length = 0;
  state.restore(start);
  await state.advance();
  expect(ran).toEqual([0, 2]);
  await state.settle();
});
