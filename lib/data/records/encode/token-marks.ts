import type { TextSection, Tokenizer } from '../../types.js';
import { guard } from '../templates/marks.js';
import type { Span } from '../templates/marks.js';

/** Ids of a text, and 1 for each that lies in a span, or crosses its start. */
export interface MarkedIds {
  readonly ids: readonly number[];
  readonly counts: readonly number[];
}

/**
 * Encodes a text in which control tokens are control tokens, but for those that a guard was put into (`guardControl`).
 * @param spans in the text with its guards, in order
 */
export function encodeSpans(tokenizer: Tokenizer, text: string, spans: readonly Span[]): MarkedIds {
  const ids: number[] = [];
  const counts: number[] = [];
  for (const section of tokenizer.cut(text)) {
    const end = section.start + section.text.length;
    const inside = spans
      .filter(([from, to]) => from < end && to > section.start)
      .map(([from, to]): Span => [Math.max(0, from - section.start), Math.min(to, end) - section.start]);
    if (section.id === undefined) {
      const encoded = encodeText(tokenizer, section, inside);
      for (const id of encoded.ids) ids.push(id);
      for (const count of encoded.counts) counts.push(count);
    } else {
      ids.push(section.id);
      counts.push(inside.length > 0 ? 1 : 0);
    }
  }
  return { ids, counts };
}

/** Inserts guards, so that what reads as a control token in a text of a message is text. */
export function guardControl(tokenizer: Tokenizer, text: string): string {
  return tokenizer
    .cut(text)
    .map(({ text: part, id }) => {
      if (id === undefined) return part;
      // Spaces around it may belong to the token.
      const content = tokenizer.controlText(id)!;
      const at = part.indexOf(content) + 1;
      return part.slice(0, at) + guard + part.slice(at);
    })
    .join('');
}

function encodeText(tokenizer: Tokenizer, section: TextSection, spans: readonly Span[]): MarkedIds {
  const text = section.text.replaceAll(guard, '');
  const start = section.start;
  const ids = Array.from(tokenizer.encodeSection({ text, start }));
  const counts = ids.map(() => 0);
  const place = (at: number): number => at - (section.text.slice(0, at).split(guard).length - 1);
  for (const [from, to] of spans) {
    const first = place(from) === 0 ? 0 : firstBehind(tokenizer, ids, { text, start }, place(from));
    const end =
      place(to) === text.length ? ids.length : endBefore(tokenizer, ids, { text, start }, place(to));
    counts.fill(1, first, Math.max(first, end));
  }
  return { ids, counts };
}

type Piece = Pick<TextSection, 'text' | 'start'>;

/** The first token that reaches beyond a place of its text. */
function firstBehind(tokenizer: Tokenizer, ids: readonly number[], piece: Piece, at: number): number {
  const decoded = decodedStarts(tokenizer, ids, piece.text);
  if (decoded === undefined) return commonStart(tokenizer, ids, piece, at);
  return lowest(ids.length, (count) => decoded(count + 1).length > at);
}

/** How many tokens it takes to reach a place of their text. */
function endBefore(tokenizer: Tokenizer, ids: readonly number[], piece: Piece, at: number): number {
  const decoded = decodedStarts(tokenizer, ids, piece.text);
  if (decoded === undefined) return commonStart(tokenizer, ids, piece, at);
  let end = lowest(ids.length, (count) => decoded(count).length >= at);
  // The last character may take several tokens, of which the first ones give U+FFFD.
  while (end < ids.length && !piece.text.startsWith(decoded(end))) end++;
  return end;
}

/**
 * The text that the first tokens make; undefined where all of them make another than they were made of, as with tokenizers
 * that change letters. Decoders may drop a space at the start.
 */
function decodedStarts(
  tokenizer: Tokenizer,
  ids: readonly number[],
  text: string,
): ((count: number) => string) | undefined {
  const whole = tokenizer.decode(ids);
  if (!text.endsWith(whole)) return undefined;
  const dropped = text.slice(0, text.length - whole.length);
  return (count) => (count === 0 ? '' : dropped + tokenizer.decode(ids.slice(0, count)));
}

/** How many tokens are the same when the text ends there. */
function commonStart(
  tokenizer: Tokenizer,
  ids: readonly number[],
  { text, start }: Piece,
  at: number,
): number {
  const before = tokenizer.encodeSection({ text: text.slice(0, at), start });
  let count = 0;
  while (count < before.length && before[count] === ids[count]) count++;
  return count;
}

/** The lowest count from 0 on that something holds for, which then holds for all above; `end` where it holds for none. */
function lowest(end: number, holds: (count: number) => boolean): number {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
