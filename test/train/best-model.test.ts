/** Runs that end when they stop to improve, and with their best weights. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dense } from '../../lib/methods/index.js';
import { evaluateModel, Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { EarlyStopping } from '../../lib/train/evaluation/early-stopping.js';
import { contentOf, train } from '../helpers/exact-resume.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);
/** Learns one text by heart, and gets worse at another. */
const heldOut = join(folder, 'held-out.txt');
writeFileSync(heldOut, 'Nothing of this is written as numbers are. '.repeat(8));
const run = (change: Partial<TrainerOptions> = {}): TrainerOptions =>
  tinyRun(text, {
    data: { train: text, validation: heldOut },
    ...{ method: dense(), learningRate: 0.02, lrSchedulerType: 'constant', maxSteps: 40, evalSteps: 2 },
    ...{ outputDirectory: newOutput(), ...change },
  });

const evaluationsOf = async (trainer: Trainer): Promise<{ step: number; loss: number }[]> => {
  const told: { step: number; loss: number }[] = [];
  trainer.on('evaluate', ({ step, loss }) => told.push({ step, loss }));
  await trainer.run();
  return told;
};

const lowest = (told: readonly { step: number; loss: number }[]) =>
  told.reduce((best, each) => (each.loss < best.loss ? each : best));

describe('earlyStoppingPatience', () => {
  test('counts evaluations in a row that are not below the lowest', () => {
    const stopping = new EarlyStopping(2);
    const due = [3, 2, 2.5, 1.9, 1.9, 2].map((loss) => {
      stopping.add(loss);
      return stopping.isDue;
    });
    expect(due).toEqual([false, false, false, false, false, true]);
    expect(new EarlyStopping(3, stopping.state).isDue).toBe(false);
    expect(new EarlyStopping(0, stopping.state).isDue).toBe(false);
  });

  test('ends a run, also one that goes on from a checkpoint, at the same step', async () => {
    const patience = { earlyStoppingPatience: 3, saveSteps: 1, saveTotalLimit: 0 };
    await using trainer = await Trainer.create(run(patience));
    const told = await evaluationsOf(trainer);
    const result = await trainer.run(); // over, so nothing is left to do
    expect(result).toMatchObject({ reason: 'earlyStopped', step: told.at(-1)!.step });
    expect(result.step).toBeLessThan(40);
    expect(told.at(-1)!.step).toBe(lowest(told).step + 3 * 2);
    const outputDirectory = newOutput();
    const options = run({ ...patience, outputDirectory, resumeFromCheckpoint: 'auto' });
    await train(options, lowest(told).step + 3);
    const resumed = await train(options);
    expect(await contentOf(resumed.checkpoint)).toEqual(await contentOf(result.checkpoint!.path));
  });
});

describe('loadBestModelAtEnd', () => {
  test('saves the best when it is found, and ends with it', async () => {
    const options = run({ loadBestModelAtEnd: true, saveTotalLimit: 1 });
    await using trainer = await Trainer.create(options);
    const told = await evaluationsOf(trainer);
    const { bestModel, checkpoint, reason } = await trainer.run();
    const best = lowest(told);
    expect(best.step).toBeLessThan(40);
    expect(reason).toBe('completed');
    expect(bestModel).toEqual({ path: join(options.outputDirectory!, `checkpoint-${best.step}`), ...best });
    expect(checkpoint).toMatchObject({ step: 40 });
    const evaluated = await trainer.evaluate();
    expect(evaluated).toMatchObject(best);
    const { loss } = await evaluateModel({ model: bestModel!.path, data: heldOut, batchSize: 2, threads: 1 });
    expect(loss).toBe(best.loss);
    const saved = readdirSync(options.outputDirectory!).filter((name) => name.startsWith('checkpoint-'));
    expect(saved.sort()).toEqual([`checkpoint-${best.step}`, 'checkpoint-40'].sort());
  });

  test('of a run that was stopped is not done yet', async () => {
    await using trainer = await Trainer.create(run({ loadBestModelAtEnd: true }));
    trainer.on('step', ({ step }) => step === 39 && trainer.requestStop());
    expect(await trainer.run()).toMatchObject({ reason: 'stopped', step: 39, bestModel: undefined });
    expect(await trainer.run()).toMatchObject({
      reason: 'completed',
      step: 40,
      bestModel: expect.anything(),
    });
  });
});

test.each<[string, Partial<TrainerOptions>, string]>([
  ['patience without evaluations', { earlyStoppingPatience: 1, evalSteps: 0 }, 'earlyStoppingPatience'],
  ['the best model without evaluations', { loadBestModelAtEnd: true, evalSteps: 0 }, 'loadBestModelAtEnd'],
  [
    'the best model without a folder',
    { loadBestModelAtEnd: true, outputDirectory: undefined },
    'loadBestModelAtEnd',
  ],
])('%s is refused', async (_, change, op) => {
  await expect(Trainer.create(run(change))).rejects.toMatchObject({ code: 'ERR_COMPACT_CONFIG_VALUE', op });
});
