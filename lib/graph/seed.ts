import { compactError } from '../errors.js';
import { shown } from '../options.js';

/** A seed as the two 32-bit words of a generator's key. */
export interface SeedWords {
  readonly seedLow: number;
  readonly seedHigh: number;
}

/**
 * Splits a seed into key words.
 * @param seed a whole number from 0 to 2^53 - 1
 * @throws ERR_COMPACT_ARGUMENT
 */
export function splitSeed(seed: number): SeedWords {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw compactError('ERR_COMPACT_ARGUMENT', 'seed is out of range', {
      op: 'seed',
      expected: 'a whole number from 0 to 2^53 - 1',
      received: shown(seed),
    });
  return { seedLow: seed % 2 ** 32, seedHigh: Math.floor(seed / 2 ** 32) };
}
