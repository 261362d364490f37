import { join } from 'node:path';
import * as v from 'valibot';
import { readRegularFile } from '../../data/regular-file.js';
import { compactError } from '../../errors.js';
import { systemCode } from '../../formats/index.js';
import { shown } from '../../options.js';

const maxBytes = 2 ** 20;
const ids = v.union([v.number(), v.array(v.number())]);

/**
 * The tokens that end a text, as generation_config.json of a model has them, or where it has none config.json: chat models
 * have more than their tokenizer's end of text. Empty where neither says any.
 * @throws ERR_COMPACT_MODEL_READ
 */
export async function endIdsOf(folder: string): Promise<readonly number[]> {
  for (const name of ['generation_config.json', 'config.json']) {
    const path = join(folder, name);
    const given = (await readObject(path))['eos_token_id'] ?? undefined;
    if (given === undefined) continue;
    const result = v.safeParse(ids, given);
    if (result.success) return [result.output].flat();
    throw unreadable(path, `eos_token_id: ${shown(given)}`);
  }
  return [];
}

async function readObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readRegularFile(path, maxBytes);
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return {};
    throw unreadable(path, (cause as Error).message, cause);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw unreadable(path, (cause as Error).message, cause);
  }
  throw unreadable(path, shown(text));
}

const unreadable = (path: string, received: string, cause?: unknown): Error =>
  compactError('ERR_COMPACT_MODEL_READ', `${path} does not say how a text ends`, {
    op: 'model',
    expected: 'an object; in it eos_token_id, where it has one, a number or a list of them',
    received,
    cause,
  });
