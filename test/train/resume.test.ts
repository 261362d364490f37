import { join } from 'node:path';
import { compact, dense, lora, mesa, qlora, relora } from '../../lib/methods/index.js';
import { modelFromDescription } from '../../lib/models/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';
import { contentOf, expectExactResume, train } from '../helpers/exact-resume.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const tinyGpt2 = modelFromDescription({
  ...{ architecture: 'gpt2', vocabSize: 264, nPositions: 16, nEmbd: 32 },
  ...{ nLayer: 2, nHead: 2 },
});
const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);

const expectExact = (change: Partial<TrainerOptions>, stops: readonly number[]): Promise<void> =>
  expectExactResume(tinyRun(text, change), newOutput, stops);

describe('a resumed run equals an uninterrupted one to the bit', () => {
  test.each([1, 2, 3, 4, 5, 7])('stopped after step %i (projections change after 3 and 6)', async (stop) => {
    await expectExact({}, [stop]);
  });

  test('stopped after every step', async () => {
    await expectExact({}, [1, 2, 3, 4, 5, 6, 7]);
  });

  test.each<[string, Partial<TrainerOptions>]>([
    ['dense', { method: dense({ weightDecay: 0.1 }) }],
    ['lora', { method: lora({ r: 4, targetModules: 'all-linear' }) }],
    ['relora, merged after 3 and 6', { method: relora({ r: 4, resetInterval: 3, restartWarmupSteps: 2 }) }],
    ['relora in bf16', { method: relora({ r: 4, resetInterval: 2 }), dtype: 'bf16' }],
    ['qlora', { method: qlora({ r: 4, embeddingWeights: 'int8' }) }],
    ['weights in int8', { method: dense({ weights: 'int8' }), dtype: 'bf16' }],
    [
      'weights read as int8',
      { method: compact({ rank: 8, refreshInterval: 3, weights: 'int8-aware' }), dtype: 'bf16' },
    ],
    ['mesa', { method: mesa({ savedGroupSize: 64 }) }],
    [
      'compact, moments reset',
      { method: compact({ rank: 8, refreshInterval: 3, momentsAtRefresh: 'reset' }) },
    ],
    [
      'compact, moments moved',
      { method: compact({ rank: 8, refreshInterval: 3, momentsAtRefresh: 'transfer' }) },
    ],
    [
      'compact, lazy, with int8 copies',
      { method: compact({ rank: 8, refreshInterval: 3, store: 'lazy', savedActivations: 'int8' }) },
    ],
    [
      'slopes in steps, of GPT-2',
      { method: compact({ rank: 8, refreshInterval: 3, activationSlopes: 'stepwise' }), model: tinyGpt2 },
    ],
    ['fp8 copies', { method: dense({ savedActivations: 'fp8' }), dtype: 'bf16' }],
    ['compact, lazy and shared', { method: compact({ rankRatio: 0.5, refreshInterval: 2, store: 'lazy' }) }],
    ['bf16 with stochastic rounding', { dtype: 'bf16' }],
    ['accumulation', { gradientAccumulationSteps: 3 }],
    [
      'accumulation, clipping and a warm-up',
      {
        gradientAccumulationSteps: 2,
        maxGradNorm: 0.5,
        lrSchedulerType: 'cosine_with_min_lr',
        warmupSteps: 4,
      },
    ],
    ['block checkpointing', { recompute: 'layer' }],
  ])('%s', async (_, change) => {
    await expectExact(change, [2, 5]);
  });

  test('over several epochs of the data', async () => {
    await expectExact({ batchSize: 64, maxSteps: 12 }, [4, 9]);
  });

  test('in another folder, which gets the whole history from there on', async () => {
    const straight = await train(tinyRun(text, { outputDirectory: newOutput() }));
    const first = await train(tinyRun(text, { outputDirectory: newOutput() }), 4);
    const options = tinyRun(text, { outputDirectory: newOutput(), resumeFromCheckpoint: first.checkpoint });
    const second = await train(options);
    expect([...first.losses, ...second.losses]).toEqual(straight.losses);
  });

  test('clipping may be switched on and off: a checkpoint holds nothing of it', async () => {
    const straight = await train(tinyRun(text, { outputDirectory: newOutput() }));
    for (const [before, after] of [
      [0, 1e9],
      [1e9, 0],
    ]) {
      const start = tinyRun(text, { outputDirectory: newOutput(), maxGradNorm: before });
      const { checkpoint } = await train(start, 4);
      const resumed = { outputDirectory: newOutput(), resumeFromCheckpoint: checkpoint };
      const { losses } = await train(tinyRun(text, { ...resumed, maxGradNorm: after }));
      // A norm of 1e9 clips nothing, but gradients go through memory in another order.
      for (const [i, loss] of straight.losses.slice(4).entries())
        expect(Math.abs(losses[i]! - loss)).toBeLessThan(2e-5 * loss);
    }
  });

  test('the same bits with another number of threads', async () => {
    const one = await train(tinyRun(text, { outputDirectory: newOutput() }));
    const two = await train(tinyRun(text, { outputDirectory: newOutput(), threads: 2 }));
    expect(await contentOf(two.checkpoint)).toEqual(await contentOf(one.checkpoint));
  });
});
