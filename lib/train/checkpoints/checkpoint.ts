import { join } from 'node:path';
import type { Plan } from '../../compile/index.js';
import type { RunData } from '../../data/index.js';
import { compactError } from '../../errors.js';
import { writeFolderAtomically, writeNewFile } from '../../formats/index.js';
import type { SafetensorsFile } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { StepClock } from '../../methods/index.js';
import type { Engine } from '../../runtime/index.js';
import { checkpointPath } from './checkpoint-folder.js';
import { readState, stateFileName } from './checkpoint-state.js';
import type { CheckpointState } from './checkpoint-state.js';
import type { TrainerSettings } from '../options/options.js';
import { pretrainedFiles } from '../weights/pretrained-files.js';
import { loadTensors, openTensors, saveTensors, tensorFiles } from '../weights/tensor-files.js';

/** What a checkpoint's tensors belong to. */
export interface CheckpointSubject {
  readonly plan: Plan;
  readonly model: Model;
}

/**
 * Writes `checkpoint-<step>`: model.safetensors, optimizer.safetensors, trainer.json, and what other programs need to
 * open the model. The folder appears under its name only when all of it is on the disk.
 *
 * @returns path and size in bytes
 * @throws ERR_COMPACT_CHECKPOINT_WRITE, ERR_COMPACT_NOT_FINITE naming the first tensor that holds NaN or infinity;
 * nothing is left behind
 */
export async function saveCheckpoint(
  outputDirectory: string,
  engine: Pick<Engine, 'read'>,
  { plan, model }: CheckpointSubject,
  { tokenizer, tokenizerFiles }: Pick<RunData, 'tokenizer' | 'tokenizerFiles'>,
  state: CheckpointState,
): Promise<{ path: string; numBytes: number }> {
  const path = checkpointPath(outputDirectory, state.step);
  let numBytes = 0;
  await writeFolderAtomically(path, async (folder) => {
    for (const { name } of tensorFiles)
      numBytes += await saveTensors(engine, plan, model, name, join(folder, name));
    const texts = {
      [stateFileName]: json(state),
      ...pretrainedFiles(model, tokenizer, state.training.dtype, tokenizerFiles),
    };
    for (const [name, text] of Object.entries(texts)) {
      await writeNewFile(join(folder, name), (file) => file.writeFile(text));
      numBytes += Buffer.byteLength(text);
    }
  });
  return { path, numBytes };
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** A checkpoint that was found whole and fitting; its tensors have not been read yet. */
export interface OpenCheckpoint extends AsyncDisposable {
  readonly path: string;
  readonly state: CheckpointState;
  /**
   * Writes all tensors into an engine that has loaded the plan.
   * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_CHECKPOINT_INVALID, ERR_COMPACT_ABORTED
   */
  loadInto(engine: Pick<Engine, 'writeRows'>, signal?: AbortSignal): Promise<void>;
}

/**
 * Opens a checkpoint and checks all of it against a run, before anything is changed.
 *
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED, _INVALID, _VERSION or _MISMATCH
 */
export async function openCheckpoint(
  path: string,
  { plan, model }: CheckpointSubject,
): Promise<OpenCheckpoint> {
  const state = await readState(path);
  checkSame(path, 'model', state.model, model.describe());
  const files: SafetensorsFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map((file) => file.close()));
  };
  try {
    for (const { name } of tensorFiles) files.push(await openTensors(join(path, name), plan, model, name));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    path,
    state,
    async loadInto(engine, signal) {
      for (const [index, { name }] of tensorFiles.entries())
        await loadTensors(engine, plan, model, name, files[index]!, signal);
    },
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Checks that a run may go on from a checkpoint exactly: with the same method, on the same data in the same order.
 * Learning rates, schedule, batch size, clipping and length of the run may change.
 *
 * @throws ERR_COMPACT_CHECKPOINT_MISMATCH naming what differs, ERR_COMPACT_CHECKPOINT_INVALID
 */
export function checkResumable(
  path: string,
  state: CheckpointState,
  settings: Pick<TrainerSettings, 'method' | 'sequenceLength' | 'dtype' | 'seed' | 'preference'>,
  dataFingerprint: string,
): void {
  checkSame(path, 'method', state.method, settings.method.describe());
  new StepClock(settings.method).restore(state.step, state.clocks);
  type Decisive = Pick<CheckpointState['training'], 'sequenceLength' | 'dtype' | 'seed' | 'preference'>;
  const decisive = ({ sequenceLength, dtype, seed, preference }: Decisive): Decisive => ({
    ...{ sequenceLength, dtype, seed, preference },
  });
  checkSame(path, 'run', decisive(state.training), decisive(settings));
  checkSame(path, 'corpus', { text: state.data.fingerprint }, { text: dataFingerprint });
}

function checkSame(
  path: string,
  what: string,
  stored: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): void {
  for (const key of new Set([...Object.keys(stored), ...Object.keys(wanted)])) {
    const [found, expected] = [JSON.stringify(stored[key]), JSON.stringify(wanted[key])];
    if (found === expected) continue;
    throw compactError(
      'ERR_COMPACT_CHECKPOINT_MISMATCH',
      `${path} was made with another ${what}: ${key} differs`,
      {
        op: key,
        expected: `${expected}, as this run has it`,
        received: found,
        remedy: 'Resume with what the checkpoint was made with, or start without it in another folder',
      },
    );
  }
}
