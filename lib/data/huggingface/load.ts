import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { compactError, isCompactError } from '../../errors.js';
import { shown } from '../../options.js';
import { readRegularFile } from '../regular-file.js';
import type { Tokenizer } from '../types.js';
import { exportedFiles } from './exported-files.js';
import { makePipeline } from './pipeline.js';
import { tokenizerSchema } from './schema.js';
import type { TokenizerConfig } from './schema.js';
import { addsBosToken, findSpecialTokens } from './special-tokens.js';

/** The largest published tokenizer.json has about 35 MB. */
const maxBytes = 256 * 2 ** 20;
const fileName = 'tokenizer.json';
/** Files beside it that may name its control tokens, the first before the second. */
const configNames = ['tokenizer_config.json', 'special_tokens_map.json'];

/**
 * Loads a tokenizer.json, with the files beside it that name its end of text.
 * @param path the file, or the folder that holds it
 * @throws ERR_COMPACT_TOKENIZER
 */
export async function loadHuggingFaceTokenizer(path: string): Promise<Tokenizer> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const file = isFolder ? join(path, fileName) : path;
  try {
    const texts: Record<string, string> = { [fileName]: await readRegularFile(file, maxBytes) };
    for (const name of configNames) {
      const text = await readIfPresent(join(dirname(file), name));
      if (text !== undefined) texts[name] = text;
    }
    return tokenizerFromFiles(file, texts);
  } catch (error) {
    throw isCompactError(error) ? error : unusable(file, error);
  }
}

/**
 * The tokenizer that its files make.
 * @param files their texts by name, of which only tokenizer.json has to be there
 * @throws ERR_COMPACT_TOKENIZER
 */
export function tokenizerFromFiles(name: string, files: Readonly<Record<string, string>>): Tokenizer {
  try {
    const json = files[fileName]!;
    const configs = configNames.map((file) => parseObject(file, files[file] ?? '{}'));
    const parsed: unknown = JSON.parse(json);
    const config = parseConfig(parsed);
    const pipeline = makePipeline(config);
    const special = findSpecialTokens(config, configs);
    const idOf = (key: string, token: string | undefined): number | undefined => {
      const id = token === undefined ? undefined : pipeline.idOf(token);
      if (token !== undefined && id === undefined)
        throw new Error(`${key} is ${JSON.stringify(token)}, which is not in the vocabulary`);
      return id;
    };
    const exported = exportedFiles(json, configs[0]!, special);
    return {
      name,
      vocabularySize: pipeline.vocabularySize,
      endOfTextId: idOf('eos_token', special.eos),
      unknownId: pipeline.unknownId,
      bosTokenId: idOf('bos_token', special.bos),
      padTokenId: idOf('pad_token', special.pad),
      maskTokenId: idOf('mask_token', special.mask),
      addsBos: addsBosToken(parsed as Record<string, unknown>, configs[0]!, special.bos),
      hasPatterns: hasPatterns(config),
      encode: (text, { splitSpecialTokens = true, continues = false } = {}) =>
        pipeline.encode(text, { splitSpecialTokens, continues }),
      cut: (text) => pipeline.cut(text),
      encodeSection: (section) => pipeline.encodeSection(section),
      controlText: (id) => pipeline.controlText(id),
      decode: (ids) => pipeline.decode(ids),
      files: () => exported,
    };
  } catch (error) {
    throw isCompactError(error) ? error : unusable(name, error);
  }
}

const readIfPresent = (path: string): Promise<string | undefined> =>
  readRegularFile(path, maxBytes).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });

/** Whether text is cut or changed by expressions that the file brings along. */
const hasPatterns = ({ normalizer, pre_tokenizer }: TokenizerConfig): boolean =>
  JSON.stringify([normalizer, pre_tokenizer]).includes('"Regex":');

function parseConfig(value: unknown): TokenizerConfig {
  const result = v.safeParse(tokenizerSchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = (issue.path ?? []).map(({ key }) => String(key)).join('.') || 'the file';
  throw new Error(`${where} (${shown(issue.input)}): ${issue.message}`);
}

function parseObject(file: string, json: string): Record<string, unknown> {
  const value: unknown = JSON.parse(json);
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new Error(`${file} is not an object`);
}

function unusable(file: string, cause: unknown): Error {
  return compactError('ERR_COMPACT_TOKENIZER', `${file} cannot be used as a tokenizer`, {
    op: 'tokenizer',
    expected: "'bytes', or a tokenizer.json of parts that give the ids of the reference implementation",
    received: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}
