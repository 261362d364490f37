import type { Tokenizer } from './types.js';

/** Ids 0 to 255 are the bytes of UTF-8, 256 ends a document: works for every text, needs no vocabulary. */
export const byteTokenizer: Tokenizer = {
  name: 'bytes',
  vocabularySize: 257,
  endOfTextId: 256,
  unknownId: undefined,
  bosTokenId: undefined,
  padTokenId: undefined,
  hasPatterns: false,
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: (ids) => Buffer.from(ids.filter((id) => id < 256)).toString('utf8'),
  files: () => ({}),
};
