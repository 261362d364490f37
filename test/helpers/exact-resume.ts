/** Runs that stop and go on must leave what an uninterrupted run leaves, to the bit. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { Trainer } from '../../lib/train/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';

/** Everything of a checkpoint that a later step can depend on. */
export async function contentOf(checkpoint: string): Promise<unknown> {
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
export async function train(
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
export async function expectExactResume(
  run: TrainerOptions,
  newOutput: () => string,
  stops: readonly number[],
): Promise<void> {
  const straight = await train({ ...run, outputDirectory: newOutput() });
  const options: TrainerOptions = { ...run, outputDirectory: newOutput(), resumeFromCheckpoint: 'auto' };
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
