// Preferences are learnt against a reference: the model that a run starts from. What it gives the answers is computed once,
// before the first step, by the entry `evaluate`, so no second copy of its weights is ever held.
import { createHash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreferenceAnswers } from '../data/records/index.js';
import { compactError, isCompactError } from '../errors.js';
import { onPath, SafetensorsFile, temporaryName, writeSafetensors } from '../formats/index.js';
import type { Engine } from '../runtime/index.js';
import { checkAborted } from './abort.js';
import type { TrainerSettings } from './options/options.js';

const fileName = 'reference-log-probabilities.safetensors';
/** Between two tellings of how far it is. */
const tellMs = 250;

/** What log-probabilities follow from: equal keys, equal numbers but for rounding. */
export function referenceKey(
  answers: readonly PreferenceAnswers[],
  { baseModel, adapter, model, method, dtype, seed }: TrainerSettings,
): string {
  const data = answers.map(({ name, sha256 }) => ({ name, sha256 }));
  const ofModel = { baseModel, adapter, model: model.describe(), method: method.describe(), dtype, seed };
  return createHash('sha256')
    .update(JSON.stringify({ data, ...ofModel }))
    .digest('hex');
}

/**
 * Computes the log-probabilities of all answers with the weights that the engine has, and tells them to the data.
 * @throws ERR_COMPACT_NOT_FINITE, ERR_COMPACT_ABORTED
 */
export async function computeReference(
  engine: Pick<Engine, 'run'>,
  answers: readonly PreferenceAnswers[],
  { batchSize, signal, onReference }: Pick<TrainerSettings, 'batchSize' | 'signal' | 'onReference'>,
): Promise<void> {
  const numAnswers = answers.reduce((sum, { reference }) => sum + reference.length, 0);
  let numDone = 0;
  let toldAt = performance.now();
  for (const { reference, batch } of answers) {
    for (let first = 0; first < reference.length; first += batchSize) {
      checkAborted(signal);
      const { inputs } = await batch(first, batchSize);
      const { outputs } = await engine.run('evaluate', { inputs, scalars: { lossScale: 1 }, signal });
      // Against references of 0, as they are until now, the ratios are the log-probabilities.
      const found = (outputs['logRatios'] as Float32Array).subarray(0, reference.length - first);
      const wrong = found.findIndex((value) => !Number.isFinite(value));
      if (wrong >= 0)
        throw compactError(
          'ERR_COMPACT_NOT_FINITE',
          'the model that the run starts from gives an answer no probability',
          {
            op: 'preference',
            expected: 'the logarithm of a probability',
            received: `${found[wrong]} for the ${wrong % 2 === 0 ? 'chosen' : 'rejected'} answer of pair ${Math.floor((first + wrong) / 2) + 1}`,
            remedy: 'Look whether its weights are whole, or leave the pair out',
          },
        );
      reference.set(found, first);
      numDone += found.length;
      if (performance.now() - toldAt < tellMs && numDone < numAnswers) continue;
      toldAt = performance.now();
      onReference?.({ numDone, numAnswers });
    }
  }
}

/**
 * Writes the log-probabilities into a folder, whole or not at all, for a run that goes on.
 * @throws ERR_COMPACT_CHECKPOINT_WRITE
 */
export function saveReference(
  folder: string,
  answers: readonly PreferenceAnswers[],
  key: string,
): Promise<void> {
  const path = join(folder, fileName);
  const temporary = join(folder, temporaryName(fileName));
  return onPath('ERR_COMPACT_CHECKPOINT_WRITE', path, async () => {
    const tensors = answers.map(({ name, reference }) => ({
      ...{ name, dtype: 'f32' as const, shape: [reference.length] },
      async *read() {
        yield new Uint8Array(reference.buffer);
      },
    }));
    await writeSafetensors(temporary, tensors, { key });
    await rename(temporary, path);
  });
}

/** Tells the data what a folder holds of its answers; false where it holds none of this key, or not all of them. */
export async function loadReference(
  folder: string,
  answers: readonly PreferenceAnswers[],
  key: string,
): Promise<boolean> {
  try {
    await using file = await SafetensorsFile.open(join(folder, fileName));
    if (file.metadata['key'] !== key) return false;
    for (const { name, reference } of answers) {
      const bytes = await file.read(name);
      if (bytes.byteLength !== reference.byteLength) return false;
      reference.set(new Float32Array(bytes.buffer));
    }
    return true;
  } catch (error) {
    // It can be computed again.
    if (isCompactError(error)) return false;
    throw error;
  }
}
