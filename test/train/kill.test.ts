import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Trainer } from '../../lib/train/index.js';
import { uniformNumbers } from '../../lib/train/sampling.js';
import { makeFolder, tinyConfig, tinyMethod, tinyRun } from '../helpers/tiny-run.js';
import { startTrainerChild } from '../helpers/trainer-child.js';

jest.setTimeout(120_000);
const { folder, text } = makeFolder();
const numKills = 50;

/** A constant rate, so that the steps do not depend on where the run will end. */
const run = {
  data: { train: text },
  batchSize: 1,
  sequenceLength: 8,
  maxSteps: 1_000_000,
  learningRate: 0.001,
  lrSchedulerType: 'constant',
  saveSteps: 1,
  threads: 1,
  resumeFromCheckpoint: 'auto',
} as const;

test(`killed at ${numKills} random moments, mostly during saves, a run always goes on from its last checkpoint, and ends with the bits of a run that was left alone`, async () => {
  const outputDirectory = join(folder, 'killed');
  const random = uniformNumbers(20);
  let lastStep = 0;
  let numTornSaves = 0;
  for (let kill = 0; kill < numKills; kill++) {
    const child = startTrainerChild({ ...run, outputDirectory, model: tinyConfig, method: tinyMethod });
    const firstCheckpoint = child.next('checkpoint');
    expect(await child.next('step')).toBeGreaterThanOrEqual(lastStep);
    // The first kills fall before the run has saved at all, the others anywhere in the cycle of step and save.
    if (kill > 2) await firstCheckpoint;
    await sleep(60 * random());
    child.process.kill('SIGKILL');
    const { stderr } = await child.ended;
    expect(stderr).toBe('');
    expect(child.lines.filter((line) => 'error' in line)).toEqual([]);
    lastStep = Math.max(lastStep, ...child.lines.map(({ checkpoint }) => Number(checkpoint ?? 0)));
    if ((await readdir(outputDirectory)).some((name) => name.endsWith('.partial'))) numTornSaves++;
  }
  expect(numTornSaves).toBeGreaterThan(numKills / 5);

  const change = { ...run, outputDirectory, resumeFromCheckpoint: 'latest' };
  await using resumed = await Trainer.create(tinyRun(text, change));
  expect(resumed.step).toBeGreaterThanOrEqual(lastStep);
  const names = await readdir(outputDirectory);
  expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
  const end = resumed.step + 1;
  resumed.on('step', () => resumed.requestStop());
  const { checkpoint } = await resumed.run();

  const straightDirectory = join(folder, 'straight');
  const alone = { ...run, outputDirectory: straightDirectory, saveSteps: 0 };
  await using straight = await Trainer.create(tinyRun(text, alone));
  straight.on('step', ({ step }) => step === end && straight.requestStop());
  await straight.run();
  for (const name of ['model.safetensors', 'optimizer.safetensors', 'trainer.json']) {
    const expected = await readFile(join(straightDirectory, `checkpoint-${end}`, name));
    expect(Buffer.compare(await readFile(join(checkpoint!.path, name)), expected)).toBe(0);
  }
});

test('the lock of a killed run is taken over, that of a living one is not', async () => {
  const outputDirectory = join(folder, 'locked');
  const child = startTrainerChild({ ...run, outputDirectory, model: tinyConfig, method: tinyMethod });
  await child.next('checkpoint');
  await expect(Trainer.create(tinyRun(text, { ...run, outputDirectory }))).rejects.toMatchObject({
    code: 'ERR_COMPACT_OUTPUT_LOCKED',
    message: expect.stringContaining(String(child.process.pid)),
  });
  child.process.kill('SIGKILL');
  await child.ended;
  const trainer = await Trainer.create(tinyRun(text, { ...run, outputDirectory }));
  await trainer.close();
});
