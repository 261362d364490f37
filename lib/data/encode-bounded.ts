import { createContext, Script } from 'node:vm';
import { compactError } from '../errors.js';
import type { EncodeOptions, Tokenizer } from './types.js';

/** Enough for pages of text on a busy machine. */
const longestMs = 10_000;
const call = new Script('run()');

/**
 * Ids of a text in the calling thread, for texts too short to start another. Expressions of a tokenizer's file may take
 * for ever, and while they do no signal is heard: JavaScript's own watchdog ends them.
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
  let ids: ArrayLike<number> = [];
  const run = (): void => void (ids = tokenizer.encode(text, options));
  try {
    call.runInContext(createContext({ run }), { timeout: limitMs });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause;
    throw compactError('ERR_COMPACT_TOKENIZER', `${tokenizer.name} comes to no end with this text`, {
      op: 'tokenizer',
      expected: `its expressions to take at most ${limitMs / 1000} s`,
      received: `a text of ${text.length} characters`,
      remedy: 'Mend the expressions of its pre_tokenizer or normalizer',
      cause,
    });
  }
  return ids;
}
