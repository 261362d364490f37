import { readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { compactError } from '../errors.js';
import { isTemporaryName } from '../formats/index.js';
import { checkValue, path } from '../options.js';

/** A checkpoint in an output folder, known by its name alone. */
export interface FoundCheckpoint {
  readonly path: string;
  readonly step: number;
}

export const checkpointPath = (outputDirectory: string, step: number): string =>
  join(outputDirectory, `checkpoint-${step}`);

/**
 * Every checkpoint of an output folder, oldest first; none where there is no such folder.
 * @throws ERR_COMPACT_ARGUMENT
 */
export async function listCheckpoints(outputDirectory: string): Promise<readonly FoundCheckpoint[]> {
  checkValue(outputDirectory, path, 'outputDirectory', 'ERR_COMPACT_ARGUMENT');
  const names = await readdir(outputDirectory).catch(() => []);
  return names
    .map((name) => ({
      path: join(outputDirectory, name),
      step: Number(/^checkpoint-(\d+)$/.exec(name)?.[1]),
    }))
    .filter(({ step }) => Number.isSafeInteger(step))
    .sort((a, b) => a.step - b.step);
}

/** Bytes of the files of a checkpoint. */
export async function checkpointBytes(path: string): Promise<number> {
  const sizes = (await readdir(path)).map(async (name) => (await stat(join(path, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/**
 * The checkpoint that a run goes on from.
 * @param which a folder, 'latest', or 'auto': the latest if there is one
 * @throws ERR_COMPACT_CHECKPOINT_MISSING
 */
export async function resolveCheckpoint(
  which: string | undefined,
  outputDirectory: string | undefined,
): Promise<string | undefined> {
  if (which !== 'latest' && which !== 'auto') return which === undefined ? undefined : resolve(which);
  const latest = outputDirectory === undefined ? undefined : (await listCheckpoints(outputDirectory)).at(-1);
  if (latest === undefined && which === 'latest')
    throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', 'there is no checkpoint to resume from', {
      op: 'resumeFromCheckpoint',
      expected: 'checkpoint-<step> in the output folder',
      received: outputDirectory ?? 'no output folder',
      remedy: "Start without it, or with resumeFromCheckpoint: 'auto'",
    });
  return latest === undefined ? undefined : resolve(latest.path);
}

/** Removes all but the newest `limit` checkpoints and the one to keep; 0 keeps all. */
export async function pruneCheckpoints(
  outputDirectory: string,
  limit: number,
  keepStep: number | undefined,
): Promise<void> {
  if (limit === 0) return;
  const old = (await listCheckpoints(outputDirectory)).slice(0, -limit);
  for (const { path, step } of old) if (step !== keepStep) await rm(path, { recursive: true, force: true });
}

/** Removes what interrupted saves left behind. Only for the holder of the folder's lock. */
export async function removeLeftovers(outputDirectory: string): Promise<void> {
  const names = (await readdir(outputDirectory)).filter(isTemporaryName);
  await Promise.all(names.map((name) => rm(join(outputDirectory, name), { recursive: true, force: true })));
}
