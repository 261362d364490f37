import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compactError } from '../errors.js';
import type { Tokenizer } from './types.js';

/**
 * Loads a tokenizer.json, with the tokenizer_config.json beside it where there is one (it names the end of text).
 * @param path the file, or the folder that holds it
 * @throws ERR_COMPACT_TOKENIZER
 */
export async function loadHuggingFaceTokenizer(path: string): Promise<Tokenizer> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const file = isFolder ? join(path, 'tokenizer.json') : path;
  const configFile = join(dirname(file), 'tokenizer_config.json');
  const [json, configJson] = await Promise.all([
    readFile(file, 'utf8').catch((cause: unknown) => {
      throw unusable(file, cause);
    }),
    readFile(configFile, 'utf8').catch(() => '{}'),
  ]);
  let config: Record<string, unknown>;
  let tokenizer: HuggingFaceTokenizer;
  try {
    config = JSON.parse(configJson) as Record<string, unknown>;
    tokenizer = new HuggingFaceTokenizer(JSON.parse(json) as object, config);
  } catch (cause) {
    throw unusable(file, cause);
  }
  const ids = [...tokenizer.get_vocab(true).values()];
  return {
    name: file,
    vocabularySize: ids.reduce((largest, id) => Math.max(largest, id), -1) + 1,
    endOfTextId: endOfTextId(tokenizer, config),
    unknownId: undefined,
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (tokens) =>
      tokens.length === 0 ? '' : tokenizer.decode([...tokens], { skip_special_tokens: true }),
    files: () => ({ 'tokenizer.json': json, 'tokenizer_config.json': configJson }),
  };
}

function endOfTextId(tokenizer: HuggingFaceTokenizer, config: Record<string, unknown>): number | undefined {
  const token = config['eos_token'];
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  return typeof content === 'string' ? tokenizer.token_to_id(content) : undefined;
}

function unusable(file: string, cause: unknown): Error {
  return compactError('ERR_COMPACT_TOKENIZER', `${file} cannot be used as a tokenizer`, {
    op: 'tokenizer',
    expected: "'bytes', or a tokenizer.json",
    received: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}
