/** A short run for tests of faults and kills, and what has to hold whatever happened to it. */
import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { SafetensorsFile } from '../../lib/formats/index.js';
import { listCheckpoints } from '../../lib/train/checkpoints/checkpoint-folder.js';
import { readState } from '../../lib/train/checkpoints/checkpoint-state.js';
import { Trainer } from '../../lib/train/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';
import { contentOf } from './exact-resume.js';
import { namesBelow } from './file-faults.js';
import type { FileFaults } from './file-faults.js';
import { tinyRun } from './tiny-run.js';

/** Four saves, two evaluations, a removal after each of the last two saves. */
export const fourSaves = {
  batchSize: 1,
  sequenceLength: 8,
  maxSteps: 4,
  learningRate: 0.001,
  saveSteps: 1,
  evalSteps: 2,
  evalSequences: 2,
  loggingSteps: 1,
  saveTotalLimit: 2,
  threads: 1,
  resumeFromCheckpoint: 'auto',
} as const;

/** An output folder in a folder of its own, so that all that a run leaves is seen. */
export const newOutput = (folder: string): string => join(mkdtempSync(join(folder, 'fault-')), 'run');

export interface Ending {
  /** Steps of the checkpoints that were told. */
  readonly saved: readonly number[];
  /** What the run was ended by, and what it warned of. */
  readonly problems: readonly unknown[];
  readonly hasFailed: boolean;
}

export async function train(options: TrainerOptions): Promise<Ending> {
  const saved: number[] = [];
  const warnings: unknown[] = [];
  try {
    await using trainer = await Trainer.create(options);
    trainer.on('checkpoint', ({ step }) => saved.push(step));
    trainer.on('warning', (problem) => warnings.push(problem));
    await trainer.run();
  } catch (error) {
    return { saved, problems: [error, ...warnings], hasFailed: true };
  }
  return { saved, problems: warnings, hasFailed: false };
}

/** What a run that was left alone has made. */
export interface Undisturbed {
  /** Calls to the file system. */
  readonly numCalls: number;
  readonly names: readonly string[];
  readonly content: unknown;
  readonly metrics: readonly unknown[];
}

export async function undisturbed(folder: string, text: string, faults: FileFaults): Promise<Undisturbed> {
  const outputDirectory = newOutput(folder);
  faults.start();
  const { problems } = await train(tinyRun(text, { ...fourSaves, outputDirectory }));
  const numCalls = faults.calls.length;
  expect(problems).toEqual([]);
  return {
    numCalls,
    names: namesBelow(join(outputDirectory, '..')),
    content: await contentOf(join(outputDirectory, 'checkpoint-4')),
    metrics: await metricsOf(outputDirectory),
  };
}

/** What of the metrics depends on the steps alone. */
async function metricsOf(outputDirectory: string): Promise<readonly unknown[]> {
  const lines = (await readFile(join(outputDirectory, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const { step, loss, evalLoss } = JSON.parse(line) as Record<string, unknown>;
    return { step, loss, evalLoss };
  });
}

/** What was saved is whole, a run that goes on ends as one that was left alone, and nothing else is left. */
export async function expectNothingLost(
  text: string,
  outputDirectory: string,
  saved: readonly number[],
  expected: Undisturbed,
): Promise<void> {
  const found = await listCheckpoints(outputDirectory);
  const newest = saved.slice(-fourSaves.saveTotalLimit);
  // Where it was ended before it told of a save, the oldest of these may have made room for that.
  const needed = found.some(({ step }) => step > (newest.at(-1) ?? 0)) ? newest.slice(1) : newest;
  expect(found.map(({ step }) => step)).toEqual(expect.arrayContaining(needed));
  for (const { path, step } of found) {
    expect((await readState(path)).step).toBe(step);
    for (const name of ['model.safetensors', 'optimizer.safetensors'])
      await (await SafetensorsFile.open(join(path, name))).close();
  }
  const { problems } = await train(tinyRun(text, { ...fourSaves, outputDirectory }));
  expect(problems).toEqual([]);
  expect(await contentOf(join(outputDirectory, 'checkpoint-4'))).toEqual(expected.content);
  expect(await metricsOf(outputDirectory)).toEqual(expected.metrics);
  // A checkpoint that could not be removed after the last save is whole, and goes with the next save.
  const names = namesBelow(join(outputDirectory, '..')).filter(
    (name) => !/^run\/checkpoint-[12](\/|$)/.test(name),
  );
  expect(names).toEqual(expected.names);
  await rm(join(outputDirectory, '..'), { recursive: true });
}
