import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compact, dense } from '../../lib/methods/index.js';
import { Trainer } from '../../lib/train/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

jest.setTimeout(120_000);
const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);

/** Everything of a checkpoint that a later step can depend on. */
async function contentOf(checkpoint: string): Promise<unknown> {
  const sha256 = async (name: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(join(checkpoint, name)))
      .digest('hex');
  return {
    state: JSON.parse(await readFile(join(checkpoint, 'trainer.json'), 'utf8')),
    weights: await sha256('model.safetensors'),
    moments: await sha256('optimizer.safetensors'),
  };
}

/** Losses of the steps that were done, and the checkpoint at the end. */
async function train(
  options: TrainerOptions,
  stopAfter = Infinity,
): Promise<{ losses: number[]; checkpoint: string }> {
  await using trainer = await Trainer.create(options);
  const losses: number[] = [];
  let checkpoint = '';
  trainer.on('end', (result) => (checkpoint = result.checkpoint!.path));
  for await (const report of trainer) {
    losses.push(report.loss);
    if (report.step === stopAfter) trainer.requestStop();
  }
  return { losses, checkpoint };
}

/** Trains straight through, then the same in parts, each part in a trainer of its own; both must agree to the bit. */
async function expectExactResume(change: Partial<TrainerOptions>, stops: readonly number[]): Promise<void> {
  const straight = await train(tinyRun(text, { outputDirectory: newOutput(), ...change }));
  const options = tinyRun(text, { outputDirectory: newOutput(), resumeFromCheckpoint: 'auto', ...change });
  const losses: number[] = [];
  let checkpoint = '';
  for (const stop of [...stops, Infinity]) {
    const part = await train(options, stop);
    losses.push(...part.losses);
    checkpoint = part.checkpoint;
  }
  expect(losses).toEqual(straight.losses);
  expect(new Set(losses).size).toBe(losses.length);
  expect(await contentOf(checkpoint)).toEqual(await contentOf(straight.checkpoint));
}

describe('a resumed run equals an uninterrupted one to the bit', () => {
  test.each([1, 2, 3, 4, 5, 7])('stopped after step %i (projections change after 3 and 6)', async (stop) => {
    await expectExactResume({}, [stop]);
  });

  test('stopped after every step', async () => {
    await expectExactResume({}, [1, 2, 3, 4, 5, 6, 7]);
  });

  test.each<[string, Partial<TrainerOptions>]>([
    ['dense', { method: dense({ weightDecay: 0.1 }) }],
    [
      'compact, moments reset',
      { method: compact({ rank: 8, refreshInterval: 3, momentsAtRefresh: 'reset' }) },
    ],
    [
      'compact, moments moved',
      { method: compact({ rank: 8, refreshInterval: 3, momentsAtRefresh: 'transfer' }) },
    ],
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
    await expectExactResume(change, [2, 5]);
  });

  test('over several epochs of the data', async () => {
    await expectExactResume({ batchSize: 64, maxSteps: 12 }, [4, 9]);
  });

  test('in another folder, which gets the whole history from there on', async () => {
    const straight = await train(tinyRun(text, { outputDirectory: newOutput() }));
    const first = await train(tinyRun(text, { outputDirectory: newOutput() }), 4);
    const options = tinyRun(text, { outputDirectory: newOutput(), resumeFromCheckpoint: first.checkpoint });
    const second = await train(options);
    expect([...first.losses, ...second.losses]).toEqual(straight.losses);
  });

  test('the same bits with another number of threads', async () => {
    const one = await train(tinyRun(text, { outputDirectory: newOutput() }));
    const two = await train(tinyRun(text, { outputDirectory: newOutput(), threads: 2 }));
    expect(await contentOf(two.checkpoint)).toEqual(await contentOf(one.checkpoint));
  });
});
