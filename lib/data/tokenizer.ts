import { compactError } from '../errors.js';
import { checkValue, path } from '../options.js';
import { byteTokenizer } from './byte-tokenizer.js';
import { loadHuggingFaceTokenizer } from './huggingface/load.js';
import type { Tokenizer } from './types.js';

/**
 * The built-in byte tokenizer by the name 'bytes', any other from its tokenizer.json.
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_TOKENIZER
 */
export async function loadTokenizer(nameOrPath = byteTokenizer.name): Promise<Tokenizer> {
  checkValue(nameOrPath, path, 'tokenizer');
  return nameOrPath === byteTokenizer.name ? byteTokenizer : loadHuggingFaceTokenizer(nameOrPath);
}

/**
 * Refuses a tokenizer that has ids for which a model has no row.
 * @throws ERR_COMPACT_TOKENIZER
 */
export function checkVocabulary(tokenizer: Tokenizer, vocabularySize: number): void {
  if (tokenizer.vocabularySize <= vocabularySize) return;
  throw compactError(
    'ERR_COMPACT_TOKENIZER',
    `ids of the tokenizer ${tokenizer.name} exceed the vocabulary of the model`,
    {
      op: 'tokenizer',
      expected: `ids below ${vocabularySize}`,
      received: `ids up to ${tokenizer.vocabularySize - 1}`,
      remedy: `Use a model with a vocabulary of at least ${tokenizer.vocabularySize}, or another tokenizer`,
    },
  );
}
