import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, systemCode } from '../../formats/index.js';

/** Files of a model's folder beside its weights and config.json, which go with the model as they are. */
const names = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
];
/** The largest published tokenizer.json has about 35 MB. */
const maxBytes = 256 * 2 ** 20;

/** Contents of files by name. */
export type Companions = ReadonlyMap<string, Uint8Array>;

/**
 * Those of them that a folder has.
 * @throws ERR_COMPACT_CHECKPOINT_READ, also for what is no regular file of a possible size
 */
export async function readCompanions(folder: string): Promise<Companions> {
  const found = new Map<string, Uint8Array>();
  for (const name of names) {
    const path = join(folder, name);
    try {
      const status = await stat(path);
      if (!status.isFile() || status.size > maxBytes)
        throw new Error(`no regular file of at most ${maxBytes} bytes`);
      found.set(name, await readFile(path));
    } catch (cause) {
      if (systemCode(cause) !== 'ENOENT') throw fileError('ERR_COMPACT_CHECKPOINT_READ', path, cause);
    }
  }
  return found;
}
