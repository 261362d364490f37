import { cached } from './cached.js';
import type { SubwordModel } from './model.js';
import type { WordPieceConfig } from './schema.js';

/**
 * The longest token that a word starts with, then the longest of the rest, and so on (Schuster and Nakajima 2012).
 * A word that does not come out even is one unknown.
 *
 * @throws SyntaxError for a token for unknown text that is not in the vocabulary
 */
export function wordPieceModel(config: WordPieceConfig): SubwordModel {
  const { continuing_subword_prefix: prefix, max_input_chars_per_word: longest } = config;
  const vocabulary = new Map(Object.entries(config.vocab));
  const unknownId = vocabulary.get(config.unk_token);
  if (unknownId === undefined)
    throw new SyntaxError(`unk_token ${config.unk_token} is not in the vocabulary`);
  return {
    vocabulary,
    unknownId,
    encode: cached((word): readonly number[] => {
      const letters = Array.from(word);
      if (letters.length > longest) return [unknownId];
      const ids: number[] = [];
      for (let start = 0; start < letters.length;) {
        let end = letters.length;
        let id: number | undefined;
        for (; end > start; end--) {
          id = vocabulary.get((start > 0 ? prefix : '') + letters.slice(start, end).join(''));
          if (id !== undefined) break;
        }
        if (id === undefined) return [unknownId];
        ids.push(id);
        start = end;
      }
      return ids;
    }),
  };
}
