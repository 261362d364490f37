import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemCode } from '../../formats/index.js';
import { byteTokenizer } from '../byte-tokenizer.js';
import { readRegularFile } from '../regular-file.js';

const configName = 'tokenizer_config.json';
const names = ['tokenizer.json', configName, 'special_tokens_map.json', 'chat_template.jinja'];
/** The largest published tokenizer.json has about 35 MB. */
const maxBytes = 256 * 2 ** 20;

/**
 * The files of a tokenizer as records are encoded with it, its chat template included: as they stand, but for what is said
 * of the start token.
 * @param addBos whether records begin with a start token, where that is not as the files say
 */
export async function tokenizerFiles(
  path: string,
  addBos: boolean | undefined,
): Promise<Readonly<Record<string, string>>> {
  if (path === byteTokenizer.name) return byteTokenizer.files();
  const isFolder = (await stat(path)).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const files: Record<string, string> = {};
  for (const name of names) {
    const file = name === 'tokenizer.json' && !isFolder ? path : join(folder, name);
    const text = await readRegularFile(file, maxBytes).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
    if (text !== undefined) files[name] = text;
  }
  if (addBos === undefined) return files;
  const config = JSON.parse(files[configName] ?? '{}') as object;
  return {
    ...files,
    [configName]: `${JSON.stringify({ ...config, add_bos_token: addBos }, undefined, 2)}\n`,
  };
}
