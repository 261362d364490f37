import { letterOfByte } from './huggingface/byte-level.js';
import type { Tokenizer } from './types.js';

const endOfText = { id: 256, content: '<|endoftext|>' };

/** Ids 0 to 255 are the bytes of UTF-8, 256 ends a document: works for every text, needs no vocabulary. */
export const byteTokenizer: Tokenizer = {
  name: 'bytes',
  vocabularySize: 257,
  endOfTextId: endOfText.id,
  unknownId: undefined,
  bosTokenId: undefined,
  padTokenId: undefined,
  maskTokenId: undefined,
  addsBos: false,
  hasPatterns: false,
  encode: (text) => Buffer.from(text, 'utf8'),
  cut: (text) => (text === '' ? [] : [{ text, start: 0, id: undefined }]),
  encodeSection: ({ text }) => Buffer.from(text, 'utf8'),
  controlText: (id) => (id === endOfText.id ? endOfText.content : undefined),
  decode: (ids) => Buffer.from(ids.filter((id) => id < 256)).toString('utf8'),
  files: () => ({
    'tokenizer.json': JSON.stringify(sameInTheirWords),
    'tokenizer_config.json': JSON.stringify({
      tokenizer_class: 'PreTrainedTokenizerFast',
      eos_token: endOfText.content,
      clean_up_tokenization_spaces: false,
    }),
  }),
};

/** The same ids by the parts of a tokenizer.json: byte pair encoding without pairs. */
const sameInTheirWords = {
  version: '1.0',
  added_tokens: [
    { ...endOfText, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(letterOfByte.map((letter, byte) => [letter, byte])),
    merges: [],
  },
};
