import * as tokenizers from '@huggingface/tokenizers';
import type { PatternConfig, SplitBehavior } from './schema.js';

// The library's types name files without an extension, which this module resolution does not find.
const { SplitPreTokenizer } = tokenizers as unknown as {
  SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null };
};

/** A part of a text that matches a pattern, or that lies between matches. */
export interface Span {
  readonly text: string;
  readonly isMatch: boolean;
}

export const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);

/**
 * The JavaScript form of a pattern. Regular expressions are written in Oniguruma's syntax, which a library translates.
 * @throws SyntaxError
 */
export function compilePattern(config: PatternConfig): RegExp {
  if ('String' in config)
    return new RegExp(escapeRegExp(config.String).replaceAll(String.raw`\-`, '-'), 'gu');
  const { pattern } = new SplitPreTokenizer({
    type: 'Split',
    pattern: config,
    behavior: 'Isolated',
    invert: false,
  });
  if (pattern === null) throw new SyntaxError(`the pattern ${config.Regex} cannot be translated`);
  return pattern;
}

/** The matches of a pattern and what lies between them, in order; nothing empty. */
export function findSpans(text: string, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  let end = 0;
  const add = (from: number, to: number, isMatch: boolean): void => {
    if (to > from) spans.push({ text: text.slice(from, to), isMatch });
  };
  for (const match of text.matchAll(pattern)) {
    add(end, match.index, false);
    add(match.index, match.index + match[0].length, true);
    end = match.index + match[0].length;
  }
  add(end, text.length, false);
  return spans;
}

/** The pieces of a text that is cut where matches of a pattern begin and end; nothing empty. */
export function cutAround(text: string, pattern: RegExp): string[] {
  const matches: string[] = text.match(pattern) ?? [];
  // Most patterns match every part of a text.
  const numMatched = matches.reduce((sum, match) => sum + (match === '' ? NaN : match.length), 0);
  return numMatched === text.length ? matches : findSpans(text, pattern).map((span) => span.text);
}

/** The pieces that spans become: what happens to the matches is told by the behavior. */
export function joinSpans(spans: readonly Span[], behavior: SplitBehavior): string[] {
  const texts = spans.map(({ text }) => text);
  switch (behavior) {
    case 'Isolated':
      return texts;
    case 'Removed':
      return spans.filter(({ isMatch }) => !isMatch).map(({ text }) => text);
    case 'Contiguous':
      return mergeWhere(spans, (previous, span) => previous.isMatch === span.isMatch);
    case 'MergedWithPrevious':
      return mergeWhere(spans, (previous, span) => span.isMatch && !previous.isMatch);
    default:
      return mergeWhere(spans, (previous, span) => previous.isMatch && !span.isMatch);
  }
}

function mergeWhere(spans: readonly Span[], isJoined: (previous: Span, span: Span) => boolean): string[] {
  const pieces: string[] = [];
  for (const [i, span] of spans.entries()) {
    if (i > 0 && isJoined(spans[i - 1]!, span)) pieces.push(pieces.pop()! + span.text);
    else pieces.push(span.text);
  }
  return pieces;
}
