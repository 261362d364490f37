import { ignoreIndex, type RunData } from '../../../data/index.js';
import { likeliest } from '../../generation/likeliest.js';
import type { Engine } from '../../../runtime/index.js';

/**
 * The share of the held-out tokens that count which the model takes for likeliest where they stand, from 0 to 1.
 * @param options `limit`: sequences to read at most, one at a time
 */
export async function tokenAccuracy(
  engine: Pick<Engine, 'run'>,
  dataset: Pick<RunData, 'validationBatch'>,
  { limit, signal }: { readonly limit: number; readonly signal?: AbortSignal },
): Promise<number> {
  let numRight = 0;
  let numTokens = 0;
  for (let sequence = 0; sequence < limit; sequence++) {
    const { targets, ...inputs } = (await dataset.validationBatch(sequence, 1)).inputs;
    const { outputs } = await engine.run('predict', { inputs, signal });
    const logits = outputs['logits'] as Float32Array; // (tokens, vocabulary)
    const width = logits.length / targets!.length;
    for (const [row, target] of targets!.entries()) {
      if (target === ignoreIndex) continue;
      numTokens++;
      if (likeliest(logits.subarray(row * width, (row + 1) * width)) === target) numRight++;
    }
  }
  return numRight / numTokens;
}
