import { compactError } from '../errors.js';
import { ranTooLong, runBounded } from './run-bounded.js';
import type { EncodeOptions, Tokenizer } from './types.js';

/** Enough for pages of text on a busy machine. */
const longestMs = 10_000;

/**
 * Ids of a text in the calling thread, for texts too short to start another. Expressions of a tokenizer's file may take
 * for ever, and while they do no signal is heard.
 *
 * @throws ERR_COMPACT_TOKENIZER
 */
export function encodeBounded(
  tokenizer: Tokenizer,
  text: string,
  options: EncodeOptions = {},
  limitMs = longestMs,
): ArrayLike<number> {
  if (!tokenizer.hasPatterns) return tokenizer.encode(text, options);
  const ids = runBounded(() => tokenizer.encode(text, options), limitMs);
  if (ids !== ranTooLong) return ids;
  throw compactError('ERR_COMPACT_TOKENIZER', `${tokenizer.name} comes to no end with this text`, {
    op: 'tokenizer',
    expected: `its expressions to take at most ${limitMs / 1000} s`,
    received: `a text of ${text.length} characters`,
    remedy: 'Mend the expressions of its pre_tokenizer or normalizer',
  });
}
