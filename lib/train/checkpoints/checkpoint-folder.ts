import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { compactError } from '../../errors.js';
import { onPath, removeAtomically, systemCode } from '../../formats/index.js';
import { checkValue, path } from '../../options.js';
import { stateFileName } from './checkpoint-state.js';
import { tensorFiles } from '../weights/tensor-files.js';

/** A checkpoint in an output folder, known by its name and the names of its files. */
export interface FoundCheckpoint {
  readonly path: string;
  readonly step: number;
}

export const checkpointPath = (outputDirectory: string, step: number): string =>
  join(outputDirectory, `checkpoint-${step}`);

/**
 * Everything in an output folder that has the name of a checkpoint, oldest first.
 * @throws ERR_COMPACT_CHECKPOINT_READ
 */
export async function listCheckpointNames(outputDirectory: string): Promise<readonly FoundCheckpoint[]> {
  return (await namesIn(outputDirectory))
    .map((name) => ({
      path: join(outputDirectory, name),
      step: Number(/^checkpoint-(\d+)$/.exec(name)?.[1]),
    }))
    .filter(({ step }) => Number.isSafeInteger(step))
    .sort((a, b) => a.step - b.step);
}

/**
 * The checkpoints of an output folder, oldest first. A folder that lacks one of a checkpoint's files is none: it was
 * being removed, or copied, when that was interrupted.
 * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_ARGUMENT
 */
export async function listCheckpoints(outputDirectory: string): Promise<readonly FoundCheckpoint[]> {
  checkValue(outputDirectory, path, 'outputDirectory', 'ERR_COMPACT_ARGUMENT');
  const named = await listCheckpointNames(outputDirectory);
  const needed = [stateFileName, ...tensorFiles.map(({ name }) => name)];
  const found = await Promise.all(
    named.map(async (checkpoint) => {
      const names = await namesIn(checkpoint.path);
      return needed.every((name) => names.includes(name)) ? [checkpoint] : [];
    }),
  );
  return found.flat();
}

/** Names in a folder; none where there is no such folder. */
function namesIn(folder: string): Promise<readonly string[]> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', folder, () =>
    readdir(folder).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
      throw error;
    }),
  );
}

/** Bytes of the files of a checkpoint. */
export function checkpointBytes(path: string): Promise<number> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
    const sizes = (await readdir(path)).map(async (name) => (await stat(join(path, name))).size);
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  });
}

/**
 * The checkpoint that a run goes on from.
 * @param which a folder, 'latest', or 'auto': the latest if there is one
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, ERR_COMPACT_CHECKPOINT_READ
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

/**
 * Removes all but the newest `limit` checkpoints and the one to keep; 0 keeps all.
 * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_CHECKPOINT_WRITE, after all that can be removed was
 */
export async function pruneCheckpoints(
  outputDirectory: string,
  limit: number,
  keepStep: number | undefined,
): Promise<void> {
  if (limit === 0) return;
  const old = (await listCheckpoints(outputDirectory)).slice(0, -limit);
  const removals = await Promise.allSettled(
    old.filter(({ step }) => step !== keepStep).map(({ path }) => removeAtomically(path)),
  );
  for (const removal of removals) if (removal.status === 'rejected') throw removal.reason;
}
