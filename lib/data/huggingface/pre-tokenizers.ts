import { bytesToLetters } from './byte-level.js';
import { compilePattern, cutAround, findSpans, joinSpans } from './pattern.js';
import type { PreTokenizerConfig, SplitBehavior } from './schema.js';
import { punctuation as punctuationOfUnicode8 } from './unicode-8.js';

/** Where a text stands: at the start of its document or section, and at the very first character of all. */
export interface Place {
  readonly isStart: boolean;
  readonly isFirst: boolean;
}

/** Cuts a text into the pieces that no token crosses. */
export type PreTokenizer = (text: string, place: Place) => string[];

const gpt2Words =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const punctuation = new RegExp(`[!-/:-@[-\`{-~${punctuationOfUnicode8}]`, 'gu');
const whitespace = /\p{White_Space}/gu;

/** @throws SyntaxError for a regular expression that cannot be translated */
export function makePreTokenizer(config: PreTokenizerConfig): PreTokenizer {
  switch (config.type) {
    case 'ByteLevel':
      return (text, { isStart }) => {
        const prefixed = config.add_prefix_space && isStart && !text.startsWith(' ') ? ` ${text}` : text;
        const words = config.use_regex ? cutAround(prefixed, gpt2Words) : [prefixed];
        return words.map(bytesToLetters);
      };
    case 'Split': {
      const pattern = compilePattern(config.pattern);
      if (config.behavior === 'Isolated') return (text) => cutAround(text, pattern);
      return (text) => {
        const spans = findSpans(text, pattern);
        const chosen = config.invert ? spans.map((span) => ({ ...span, isMatch: !span.isMatch })) : spans;
        return joinSpans(chosen, config.behavior);
      };
    }
    case 'Digits':
      // Every kind of number counts, not only decimal digits.
      return splitBy(/\p{N}/gu, config.individual_digits ? 'Isolated' : 'Contiguous');
    case 'Punctuation':
      return splitBy(punctuation, config.behavior);
    case 'Whitespace':
      return (text) =>
        text.match(
          /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
        ) ?? [];
    case 'WhitespaceSplit':
      return splitBy(whitespace, 'Removed');
    case 'BertPreTokenizer': {
      const words = splitBy(whitespace, 'Removed');
      const marks = splitBy(punctuation, 'Isolated');
      return (text, place) => words(text, place).flatMap((word) => marks(word, place));
    }
    case 'Metaspace':
      return metaspace(config);
    default: {
      const all = config.pretokenizers.map(makePreTokenizer);
      return (text, place) =>
        all.reduce<string[]>(
          (pieces, split) =>
            pieces.flatMap((piece, i) =>
              split(piece, { isStart: place.isStart || i > 0, isFirst: place.isFirst && i === 0 }),
            ),
          [text],
        );
    }
  }
}

const splitBy =
  (pattern: RegExp, behavior: SplitBehavior): PreTokenizer =>
  (text) =>
    joinSpans(findSpans(text, pattern), behavior);

function metaspace(config: Extract<PreTokenizerConfig, { type: 'Metaspace' }>): PreTokenizer {
  const { replacement, prepend_scheme: scheme } = config;
  const mark = compilePattern({ String: replacement });
  return (text, { isStart, isFirst }) => {
    const marked = text.replaceAll(' ', replacement);
    const isPrefixed = scheme === 'always' ? isStart : scheme === 'first' && isFirst && isStart;
    const whole = isPrefixed && !marked.startsWith(replacement) ? replacement + marked : marked;
    return config.split ? joinSpans(findSpans(whole, mark), 'MergedWithNext') : [whole];
  };
}
