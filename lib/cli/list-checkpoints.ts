import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isCompactError } from '../errors.js';
import { checkpointBytes } from '../train/checkpoints/checkpoint-folder.js';
import { readState } from '../train/checkpoints/checkpoint-state.js';
import { listCheckpoints } from '../train/index.js';

/** A checkpoint as `compact-train ls` shows it. */
export interface ListedCheckpoint {
  readonly path: string;
  readonly step: number;
  /** Of the run; undefined when the checkpoint does not tell. */
  readonly maxSteps: number | undefined;
  readonly numBytes: number;
  /** Of the training step, where the run's log has it. */
  readonly loss: number | undefined;
  /** Of the held-out text, where the step was evaluated. */
  readonly evalLoss: number | undefined;
  /** Whether its evaluation is the best of the run so far. */
  readonly isBest: boolean;
  /** Why it cannot be used. */
  readonly problem?: string;
}

/** The checkpoints of an output folder, oldest first, or the one that a folder is. */
export async function describeRun(folder: string): Promise<readonly ListedCheckpoint[]> {
  const found = await listCheckpoints(folder);
  if (found.length > 0) return describeAll(folder, found);
  const step = Number(/^checkpoint-(\d+)$/.exec(basename(folder))?.[1]);
  return Number.isSafeInteger(step) ? describeAll(dirname(folder), [{ path: folder, step }]) : [];
}

async function describeAll(
  outputDirectory: string,
  found: readonly { readonly path: string; readonly step: number }[],
): Promise<readonly ListedCheckpoint[]> {
  const losses = await readLosses(join(outputDirectory, 'metrics.jsonl'));
  const states = await Promise.all(
    found.map(({ path }) =>
      readState(path).catch((error: unknown) => (isCompactError(error) ? error.what : String(error))),
    ),
  );
  const best = states.findLast((state) => typeof state !== 'string')?.best?.step;
  return Promise.all(
    found.map(async ({ path, step }, i) => {
      const state = states[i]!;
      const readable = typeof state === 'string' ? undefined : state;
      return {
        path,
        step,
        maxSteps: readable?.training.maxSteps,
        numBytes: await checkpointBytes(path),
        loss: losses.get(step)?.loss,
        evalLoss: losses.get(step)?.evalLoss,
        isBest: step === best,
        ...(typeof state === 'string' ? { problem: state } : {}),
      };
    }),
  );
}

interface Losses {
  readonly loss?: number;
  readonly evalLoss?: number;
}

/** Losses by step. A run without a log, or with a line that a crash cut off, still has its checkpoints. */
async function readLosses(path: string): Promise<ReadonlyMap<number, Losses>> {
  const losses = new Map<number, Losses>();
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    try {
      const { step, loss, evalLoss } = JSON.parse(line) as Losses & { readonly step: number };
      const known = losses.get(step);
      losses.set(step, { loss: loss ?? known?.loss, evalLoss: evalLoss ?? known?.evalLoss });
    } catch {
      continue;
    }
  }
  return losses;
}
