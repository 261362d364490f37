import { escapeRegExp } from './pattern.js';
import type { TextSection } from '../types.js';
import type { AddedTokenConfig } from './schema.js';

/** Cuts a text at its added tokens: the leftmost first, of those the longest. */
export type SectionCutter = (text: string, splitSpecialTokens: boolean) => TextSection[];

/** @param contentOf the text that stands for a token where it is looked for */
export function sectionCutter(
  tokens: readonly AddedTokenConfig[],
  contentOf: (token: AddedTokenConfig) => string,
): SectionCutter {
  const byContent = new Map(tokens.map((token) => [contentOf(token), token]));
  byContent.delete('');
  if (byContent.size === 0) return (text) => [{ text, start: 0, id: undefined }];
  const contents = [...byContent.keys()].toSorted((a, b) => b.length - a.length);
  const anyToken = new RegExp(contents.map(escapeRegExp).join('|'), 'g');
  return (text, splitSpecialTokens) => {
    const sections: TextSection[] = [];
    let done = 0;
    for (const { 0: content, index } of text.matchAll(anyToken)) {
      const token = byContent.get(content)!;
      const end = index + content.length;
      if (token.special && splitSpecialTokens) continue;
      if (token.single_word && (endsInWord(text.slice(0, index)) || startsInWord(text.slice(end)))) continue;
      const start = token.lstrip ? Math.max(done, index - spacesAtEnd(text.slice(done, index))) : index;
      const stop = token.rstrip ? end + spacesAtStart(text.slice(end)) : end;
      if (start > done) sections.push({ text: text.slice(done, start), start: done, id: undefined });
      sections.push({ text: text.slice(start, stop), start, id: token.id });
      done = stop;
    }
    if (done < text.length) sections.push({ text: text.slice(done), start: done, id: undefined });
    return sections;
  };
}

const wordLetter = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;
const startsInWord = (text: string): boolean => new RegExp(`^${wordLetter}`, 'u').test(text);
const endsInWord = (text: string): boolean => new RegExp(`${wordLetter}$`, 'u').test(text.slice(-2));
const spacesAtStart = (text: string): number => /^\p{White_Space}*/u.exec(text)![0].length;

function spacesAtEnd(text: string): number {
  let start = text.length;
  while (start > 0 && /\p{White_Space}/u.test(text[start - 1]!)) start--;
  return text.length - start;
}
