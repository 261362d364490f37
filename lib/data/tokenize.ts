import type { SourceFile } from './sources.js';
import { readPieces } from './text-reader.js';
import type { Tokenizer } from './types.js';

/** How text becomes tokens, beside the tokenizer: all of it changes the tokens. */
export interface TokenChoices {
  /** Key of the text in a line of JSON lines. */
  readonly textField: string;
  /** Whether the text of a control token, e.g. `</s>`, is text like any other. */
  readonly splitSpecialTokens: boolean;
}

/** What tokenising may be given that does not change the tokens. */
export interface TokenizeControl {
  readonly signal?: AbortSignal;
  /** Told about four times a second, and at the end. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Default: as many as the machine has. */
  readonly threads?: number;
}

/** Ids of a tokenizer, two bytes each where its vocabulary allows. */
export type TokenIds = Uint16Array | Uint32Array;

export const idBytesOf = (tokenizer: Pick<Tokenizer, 'vocabularySize'>): 2 | 4 =>
  tokenizer.vocabularySize <= 65_536 ? 2 : 4;

/**
 * The ids of some files in order, a part at a time; every document ends with the end of text where the tokenizer has one.
 * @throws ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT, ERR_COMPACT_DATA_READ, ERR_COMPACT_ABORTED
 */
export async function* tokenize(
  sources: readonly SourceFile[],
  tokenizer: Tokenizer,
  choices: TokenChoices,
  _control: TokenizeControl = {},
): AsyncGenerator<TokenIds> {
  const IdArray = idBytesOf(tokenizer) === 2 ? Uint16Array : Uint32Array;
  for (const source of sources) {
    for await (const piece of readPieces(source, choices.textField)) {
      const encoded = tokenizer.encode(piece.text, {
        splitSpecialTokens: choices.splitSpecialTokens,
        continues: piece.continues,
      });
      const end = piece.endsDocument && tokenizer.endOfTextId !== undefined ? [tokenizer.endOfTextId] : [];
      const ids = new IdArray(encoded.length + end.length);
      ids.set(encoded);
      ids.set(end, encoded.length);
      yield ids;
    }
  }
}
