import * as v from 'valibot';
import { checkOptions, checkValue, text, type Checked } from '../../options.js';
import { sampleBatchTable, sampleTable } from '../options/trainer-table.js';
import { likeliest } from './likeliest.js';
import type { SampleBatchOptions, SampleOptions } from '../options/types.js';

export type CheckedSampleOptions = Checked<typeof sampleTable>;

export type TokenRule = Required<Pick<SampleOptions, 'temperature' | 'topK' | 'topP'>>;

/** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT */
export const checkSampleOptions = (options: SampleOptions = {}): CheckedSampleOptions =>
  checkOptions(options, sampleTable, { what: 'sample', code: 'ERR_COMPACT_ARGUMENT' });

/** @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_ARGUMENT */
export function checkSampleBatch(
  prompts: unknown,
  options: SampleBatchOptions = {},
): readonly CheckedSampleOptions[] {
  const context = { what: 'sampleBatch', code: 'ERR_COMPACT_ARGUMENT' } as const;
  const shared = checkOptions(options, sampleBatchTable, context);
  const texts = checkValue(prompts, v.array(text, 'a list of texts'), 'prompts', 'ERR_COMPACT_ARGUMENT');
  return texts.map((prompt) => ({ ...shared, prompt, messages: undefined, onText: undefined }));
}

/**
 * Draws a token: logits / temperature, cut to the `topK` likeliest and then to the likeliest that together reach
 * `topP` (Holtzman et al. 2020), softmax of what is left. Of equal logits the smaller id counts as likelier.
 *
 * @param logits (vocabulary)
 * @param uniform a random number in [0, 1)
 */
export function drawToken(logits: ArrayLike<number>, rule: TokenRule, uniform: number): number {
  const { length } = logits;
  const best = likeliest(logits);
  if (rule.temperature === 0) return best;
  const largest = logits[best]!;
  const weights = new Float64Array(length);
  for (let id = 0; id < length; id++) weights[id] = Math.exp((logits[id]! - largest) / rule.temperature);
  cut(weights, rule);
  let rest = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  let last = best;
  for (let id = 0; id < length; id++) {
    if (weights[id] === 0) continue;
    rest -= weights[id]!;
    if (rest < 0) return id;
    last = id;
  }
  return last;
}

/** Sets the weights of ids that topK and topP leave out to 0. */
function cut(weights: Float64Array, { topK, topP }: TokenRule): void {
  const { length } = weights;
  const count = topK > 0 ? Math.min(topK, length) : length;
  if (count === length && topP === 1) return;
  const descending = weights.toSorted().toReversed();
  const total = descending.subarray(0, count).reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let keptWeight = 0;
  while (kept < count && keptWeight < topP * total) keptWeight += descending[kept++]!;
  const smallest = descending[kept - 1]!;
  let numSmallest = kept - descending.indexOf(smallest);
  for (let id = 0; id < length; id++) {
    const isKept = weights[id]! > smallest || (weights[id] === smallest && numSmallest-- > 0);
    if (!isKept) weights[id] = 0;
  }
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
