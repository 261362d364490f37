import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { compactError } from '../errors.js';
import { shown } from '../options.js';
import { onPath, systemCode } from './file-error.js';
import { closeQuietly, openRegular } from './files.js';
import { isPickle, refusedPickle } from './pickle-files.js';
import { maxHeaderBytes } from './safetensors-header.js';
import type { TensorEntry } from './safetensors-header.js';
import { SafetensorsFile, type TensorReader } from './safetensors.js';
import { isObject, parseStrictObject } from './strict-json.js';

export const weightsFileName = 'model.safetensors';
export const indexFileName = 'model.safetensors.index.json';

/** The index, its map of weights; two more for what its metadata may hold. */
const indexDepth = 4;

/**
 * The weights of a folder as Hugging Face's libraries write it: `model.safetensors`, or shards that
 * `model.safetensors.index.json` names; or of a single safetensors file. Of shards each tensor stands in the one that
 * the index promises, and nowhere else.
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED or _INVALID, which pickles are
 */
export async function openWeights(path: string): Promise<TensorReader> {
  if (isPickle(path)) throw refusedPickle(path);
  const names = await namesIn(path);
  if (names === undefined) return SafetensorsFile.open(path);
  if (names.includes(weightsFileName)) return SafetensorsFile.open(join(path, weightsFileName));
  if (names.includes(indexFileName)) return openShards(path);
  const pickle = names.find((name) => isPickle(name) && /^(pytorch_model|model|consolidated)/.test(name));
  if (pickle !== undefined) throw refusedPickle(join(path, pickle));
  throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${path} holds no weights`, {
    op: weightsFileName,
    expected: `${weightsFileName}, or ${indexFileName} with its shards`,
    received: names.length === 0 ? 'an empty folder' : shown(names.toSorted().slice(0, 8)),
    remedy: 'Download the model again, or name another folder',
  });
}

/** Names in a folder; undefined where there is no folder of that name. */
function namesIn(path: string): Promise<readonly string[] | undefined> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
    try {
      return (await stat(path)).isDirectory() ? await readdir(path) : undefined;
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  });
}

/** Tensors that stand in several files. */
class Shards implements TensorReader {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #files: ReadonlyMap<string, SafetensorsFile>;
  readonly #fileOf: ReadonlyMap<string, string>;

  constructor(
    path: string,
    files: ReadonlyMap<string, SafetensorsFile>,
    fileOf: ReadonlyMap<string, string>,
  ) {
    this.path = path;
    this.#files = files;
    this.#fileOf = fileOf;
    this.tensors = new Map([...fileOf].map(([name, file]) => [name, files.get(file)!.tensors.get(name)!]));
  }

  async readInto(name: string, target: Uint8Array, byteOffset: number): Promise<void> {
    await this.#files.get(this.#fileOf.get(name)!)!.readInto(name, target, byteOffset);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function openShards(folder: string): Promise<TensorReader> {
  const index = join(folder, indexFileName);
  const fileOf = parseIndex(index, await readIndex(index));
  const files = new Map<string, SafetensorsFile>();
  try {
    for (const [tensor, name] of fileOf) {
      if (files.has(name)) continue;
      const file = await SafetensorsFile.open(join(folder, name)).catch((cause: unknown) => {
        if ((cause as { code?: unknown }).code !== 'ERR_COMPACT_CHECKPOINT_MISSING') throw cause;
        throw compactError('ERR_COMPACT_CHECKPOINT_MISSING', `${folder} lacks the shard ${shown(name)}`, {
          op: `weight_map.${tensor}`,
          expected: name,
          received: 'no such file',
          remedy: 'Download it again: all files that the index names belong together',
          cause,
        });
      });
      files.set(name, file);
    }
    checkPromises(index, files, fileOf);
    return new Shards(folder, files, fileOf);
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
}

/** Which file holds each tensor, in the order of the index. */
export function parseIndex(path: string, text: string): ReadonlyMap<string, string> {
  let index: Readonly<Record<string, unknown>>;
  try {
    index = parseStrictObject(text, indexDepth);
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw invalidIndex(path, 'it is not JSON of its form', { op: 'index', received, cause });
  }
  const map = index['weight_map'];
  if (!isObject(map)) throw invalidIndex(path, 'weight_map is not an object', { received: shown(map) });
  for (const [tensor, name] of Object.entries(map)) {
    if (isFileName(name)) continue;
    throw invalidIndex(path, `the file of ${shown(tensor)} is not possible`, {
      op: `weight_map.${tensor}`,
      expected: 'the name of a .safetensors file beside the index',
      received: shown(name),
    });
  }
  return new Map(Object.entries(map) as [string, string][]);
}

/** A name in the folder of the index and nothing that leads out of it, on any system. */
const isFileName = (name: unknown): name is string =>
  typeof name === 'string' && /^[^/\\:\0]+\.safetensors$/.test(name) && basename(name) === name;

async function readIndex(path: string): Promise<string> {
  return onPath('ERR_COMPACT_CHECKPOINT_READ', path, async () => {
    const file = await openRegular(path);
    if (file === undefined) throw invalidIndex(path, 'it is no regular file');
    try {
      const { size } = await file.stat();
      if (size > maxHeaderBytes)
        throw invalidIndex(path, 'it is too long', {
          expected: `at most ${maxHeaderBytes} bytes`,
          received: `${size}`,
        });
      return decodeUtf8(path, await file.readFile());
    } finally {
      await closeQuietly(file);
    }
  });
}

function decodeUtf8(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalidIndex(path, 'it is not UTF-8', { cause });
  }
}

function checkPromises(
  path: string,
  files: ReadonlyMap<string, SafetensorsFile>,
  fileOf: ReadonlyMap<string, string>,
): void {
  for (const [tensor, name] of fileOf) {
    if (files.get(name)!.tensors.has(tensor)) continue;
    const other = [...files].find(([, file]) => file.tensors.has(tensor))?.[0];
    throw invalidIndex(path, `the tensor ${shown(tensor)} is not where the index says`, {
      op: `weight_map.${tensor}`,
      expected: name,
      received: other ?? 'in no shard',
    });
  }
  for (const [name, file] of files) {
    for (const tensor of file.tensors.keys()) {
      if (fileOf.get(tensor) === name) continue;
      throw invalidIndex(path, `the shard ${shown(name)} holds ${shown(tensor)}, which is not its own`, {
        op: `weight_map.${tensor}`,
        expected: fileOf.get(tensor) ?? 'no such tensor',
        received: name,
      });
    }
  }
}

const invalidIndex = (
  path: string,
  what: string,
  fields: { op?: string; expected?: string; received?: string; cause?: unknown } = {},
): Error =>
  compactError('ERR_COMPACT_CHECKPOINT_INVALID', `${path} is not a valid index of shards: ${what}`, {
    op: 'weight_map',
    remedy: 'Download the model again',
    ...fields,
  });
