import type { TextPiece } from './text-reader.js';
import type { Tokenizer } from './types.js';

/** Ids of a tokenizer, two bytes each where its vocabulary allows. */
export type TokenIds = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

export const idBytesOf = (tokenizer: Pick<Tokenizer, 'vocabularySize'>): 2 | 4 =>
  tokenizer.vocabularySize <= 65_536 ? 2 : 4;

/**
 * The ids of some pieces, one after the other; every document ends with the end of text where there is one.
 * @throws ERR_COMPACT_TOKENIZER for text without tokens
 */
export function encodePieces(
  tokenizer: Tokenizer,
  pieces: readonly TextPiece[],
  splitSpecialTokens: boolean,
): TokenIds {
  const { endOfTextId } = tokenizer;
  const encoded = pieces.map(({ text, continues }) =>
    tokenizer.encode(text, { splitSpecialTokens, continues }),
  );
  const numEnds = endOfTextId === undefined ? 0 : pieces.filter(({ endsDocument }) => endsDocument).length;
  const numIds = encoded.reduce((sum, { length }) => sum + length, numEnds);
  const ids = idBytesOf(tokenizer) === 2 ? new Uint16Array(numIds) : new Uint32Array(numIds);
  let end = 0;
  for (const [i, some] of encoded.entries()) {
    ids.set(some, end);
    end += some.length;
    if (endOfTextId !== undefined && pieces[i]!.endsDocument) ids[end++] = endOfTextId;
  }
  return ids;
}
