import { bpeModel } from './bpe.js';
import type { TokenizerConfig } from './schema.js';
import { unigramModel } from './unigram.js';
import { wordPieceModel } from './word-piece.js';

/** Turns a piece of text that no token crosses into ids. */
export interface SubwordModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly unknownId: number | undefined;
  /** @throws ERR_COMPACT_TOKENIZER for text without tokens when there is none for unknown text either */
  encode(piece: string): readonly number[];
}

/** @throws SyntaxError when the parts of the model do not fit each other */
export function makeModel(config: TokenizerConfig['model']): SubwordModel {
  switch (config.type) {
    case 'BPE':
      return bpeModel(config);
    case 'Unigram':
      return unigramModel(config);
    default:
      return wordPieceModel(config);
  }
}
