import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import { numElements, type Value } from '../value.js';
import { callOp } from './call-op.js';
import { requireArgument, requireHeads, requireMatrix, requireShape, softCapOf } from './checks.js';

/** Keys and values of the positions that were read before, each (sequences * positions, kvHeads * headSize). */
export interface KeyValueCache {
  readonly keys: Value;
  readonly values: Value;
}

/** The shape of attention with a cache, and which positions see which. */
export interface CachedAttentionOptions {
  /** i32 (tokens): where in its sequence each row of q, k and v stands. No two rows of a sequence stand at one position. */
  readonly positions: Value;
  /** Rows of q, k and v that belong to one sequence. */
  readonly newTokens: number;
  readonly headSize: number;
  /** Default 1 / sqrt(headSize). */
  readonly scale?: number;
  /** Positions that one sees, its own included. Default: all before it. */
  readonly window?: number;
  /** Above 0: scores become softCap tanh(score / softCap). Default: they stay. */
  readonly softCap?: number;
}

/**
 * Attention of new tokens to themselves and to those before them, whose keys and values are in the cache:
 * q (tokens, heads * headSize), k and v (tokens, kvHeads * headSize). Rows k and v go into the cache at their positions
 * first; then a row sees the positions of its sequence up to its own, which must have been written by then, in this run
 * or in one before.
 */
export function cachedAttention(
  q: Value,
  k: Value,
  v: Value,
  cache: KeyValueCache,
  options: CachedAttentionOptions,
): Value {
  const op = 'cachedAttention';
  const { positions, newTokens, headSize, scale = 1 / Math.sqrt(headSize), window = 0 } = options;
  const [tokens] = requireMatrix(op, q);
  requireHeads(op, q, k, headSize);
  const isWhole = newTokens > 0 && tokens % newTokens === 0;
  requireArgument(op, 'newTokens', newTokens, isWhole, `a divisor of the ${tokens} tokens`);
  const [rows] = requireMatrix(op, cache.keys);
  const sequences = tokens / newTokens;
  if (rows % sequences !== 0 || rows < tokens)
    throw compactError('ERR_COMPACT_SHAPE', `${op}: the cache does not hold the sequences`, {
      op,
      expected: `rows of ${sequences} equal sequences of at least ${newTokens}`,
      received: `${rows}`,
    });
  requireShape(op, cache.values, cache.keys.shape);
  requireArgument(op, 'window', window, Number.isInteger(window) && window >= 0, 'a whole number from 0');
  const attributes = { newTokens, headSize, scale, window, ...softCapOf(op, options) };
  const [o] = callOp(cachedAttentionOp, [q, k, v, cache.keys, cache.values, positions], attributes);
  return o!;
}

export const cachedAttentionOp: OpDefinition = defineOp({
  name: 'cachedAttention',
  family: 'attention',
  computes:
    'per sequence of `newTokens` rows: `k` and `v` into row `positions[row]` of its part of the caches, then per head ' +
    '`o = softmax(score) v` over the positions from `max(0, positions[row] - window + 1)` (window 0: from 0) to ' +
    '`positions[row]`, `score = scale q k^T`, or with `softCap` `softCap tanh(score / softCap)`; fp32 inside. ' +
    '`c = sequences * positions`, heads as of `attention`. A position out of range is an error; on a GPU it is ' +
    'passed over and reported when the run ends',
  operands:
    'q:T[n,w] k:T[n,u] v:T[n,u] keyCache:T[c,u] valueCache:T[c,u] positions:i32[n] -> o:T[n,w] =keyCache =valueCache',
  attributes: 'newTokens headSize scale window=0 softCap=0',
  recompute: 'costly',
  pure: false,
  // Of a full cache: how far it is filled shows in the run alone.
  flops({ inputs: [q, , , keyCache], attributes }) {
    const sequences = q!.shape[0]! / (attributes.newTokens as number);
    return 4 * numElements(q!.shape) * (keyCache!.shape[0]! / sequences);
  },
});
