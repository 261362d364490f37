import { checkOptions, type Checked } from '../options.js';
import { sampleTable } from './trainer-table.js';
import type { SampleOptions } from './types.js';

export type TokenRule = Required<Pick<SampleOptions, 'temperature' | 'topK' | 'topP'>>;

/** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT */
export const checkSampleOptions = (options: SampleOptions): Checked<typeof sampleTable> =>
  checkOptions(options, sampleTable, { what: 'sample', code: 'ERR_COMPACT_ARGUMENT' });

/**
 * Draws a token: logits / temperature, cut to the `topK` likeliest and then to the likeliest that together reach
 * `topP` (Holtzman et al. 2020), softmax of what is left. Equal logits keep the order of their ids.
 *
 * @param logits (vocabulary)
 * @param uniform a random number in [0, 1)
 */
export function drawToken(logits: ArrayLike<number>, rule: TokenRule, uniform: number): number {
  const ids = Array.from({ length: logits.length }, (_, id) => id);
  ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (rule.temperature === 0) return ids[0]!;
  if (rule.topK > 0) ids.length = Math.min(ids.length, rule.topK);
  const largest = logits[ids[0]!]!;
  const weights = ids.map((id) => Math.exp((logits[id]! - largest) / rule.temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let keptWeight = 0;
  while (kept < ids.length && keptWeight < rule.topP * total) keptWeight += weights[kept++]!;
  let rest = uniform * keptWeight;
  for (let i = 0; i < kept; i++) {
    rest -= weights[i]!;
    if (rest < 0) return ids[i]!;
  }
  return ids[kept - 1]!;
}

/** Uniform numbers in [0, 1) from a seed: SplitMix64. */
export function uniformNumbers(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
  };
}
