import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { compactError } from '../errors.js';
import {
  closeQuietly,
  makeFolders,
  onPath,
  removeEmptyFolders,
  removeLeftovers,
  systemCode,
  writeFileAtomically,
} from '../formats/index.js';
import { blockBytes, BlockWriter, payloadBytes, readBlocks } from './checked-blocks.js';
import { hashFile } from './content-hash.js';
import { idBytesOf } from './encode-pieces.js';
import type { SourceFile } from './sources.js';
import { tokenize } from './tokenize.js';
import type { TokenChoices, TokenizeControl } from './tokenize.js';
import type { Tokenizer } from './types.js';

/*
 * A tokenised corpus on disk, read by position: memory does not grow with the text, and a resumed run does not
 * tokenise again. Blocks with checksums: the first one holds a header as JSON, the others the ids in the machine's byte
 * order, two bytes each where the vocabulary allows.
 *
 * The name is a hash of all that the ids follow from: the bytes of the text, the tokenizer, the choices, and a version
 * that rises whenever the same of these give other ids. Sizes and times of files are no part of it, because a text may
 * change and keep both; hashing it costs little beside tokenising, and a second at every start for each gigabyte or two.
 */
const magic = `compact-train tokens ${endianness()}`;
const version = 2;

interface Header {
  readonly numTokens: number;
  readonly idBytes: 2 | 4;
  /** Of the ids. */
  readonly sha256: string;
  readonly numUnknown: number;
}

export class TokenFile {
  readonly numTokens: number;
  /** Of the ids: tells whether two runs see the same text. */
  readonly sha256: string;
  /** Ids that stand for text which the tokenizer has no token for. */
  readonly numUnknown: number;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #idBytes: 2 | 4;
  readonly #seed: number;

  private constructor(path: string, file: FileHandle, seed: number, header: Header) {
    this.#path = path;
    this.#file = file;
    this.#seed = seed;
    this.#idBytes = header.idBytes;
    this.numTokens = header.numTokens;
    this.numUnknown = header.numUnknown;
    this.sha256 = header.sha256;
  }

  /**
   * Opens the tokenised form of some files, made now unless `folder` has it from before. A folder may be shared: what
   * others are making there is left alone, what killed processes have left unfinished is removed.
   *
   * @throws ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT, ERR_COMPACT_DATA_READ, ERR_COMPACT_ABORTED,
   * ERR_COMPACT_CHECKPOINT_WRITE
   */
  static async open(
    folder: string,
    sources: readonly SourceFile[],
    tokenizer: Tokenizer,
    choices: TokenChoices,
    control: TokenizeControl = {},
  ): Promise<TokenFile> {
    const hashes = await hashSources(sources, control.signal);
    const key = contentKey(sources, hashes, tokenizer, choices);
    const path = join(folder, `${key}.tokens`);
    await removeLeftovers(folder);
    const known = await openWhole(path, key);
    if (known !== undefined) return known;
    const madeFolder = await onPath('ERR_COMPACT_CHECKPOINT_WRITE', folder, () => makeFolders(folder));
    try {
      await writeFileAtomically(path, async (file) => {
        await writeTokens(file, key, sources, tokenizer, choices, control);
        const after = await hashSources(sources, control.signal);
        const changed = sources.find((_, i) => after[i] !== hashes[i]);
        if (changed !== undefined) throw changedMeanwhile(changed.path);
      });
      const made = await openWhole(path, key);
      if (made === undefined) throw damaged(path);
      return made;
    } catch (error) {
      await removeEmptyFolders(folder, madeFolder);
      throw error;
    }
  }

  /**
   * `count` ids from position `start` on.
   * @throws ERR_COMPACT_DATA_READ when the disk fails, or the file is no longer what was written
   */
  async read(start: number, count: number): Promise<Uint16Array | Uint32Array> {
    const bytes = await onPath('ERR_COMPACT_DATA_READ', this.#path, () =>
      readBlocks(this.#file, this.#seed, 1, start * this.#idBytes, count * this.#idBytes),
    );
    if (bytes === undefined) throw damaged(this.#path);
    return this.#idBytes === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  }

  close(): Promise<void> {
    return closeQuietly(this.#file);
  }

  /** @internal The file, if it is whole and holds what the key says. */
  static async fromHandle(path: string, file: FileHandle, key: string): Promise<TokenFile | undefined> {
    const seed = seedOf(key);
    const block = await readBlocks(file, seed, 0, 0, payloadBytes);
    if (block === undefined) return undefined; // of another format or version, too
    const text = Buffer.from(block).toString('utf8');
    if (!text.startsWith(magic)) return undefined;
    const header = JSON.parse(text.slice(magic.length)) as Header;
    const numBlocks = 1 + Math.ceil((header.numTokens * header.idBytes) / payloadBytes);
    const { size } = await file.stat();
    return size === numBlocks * blockBytes ? new TokenFile(path, file, seed, header) : undefined;
  }
}

/** The file at a path; undefined where there is none, or one that has to be made anew. */
function openWhole(path: string, key: string): Promise<TokenFile | undefined> {
  return onPath('ERR_COMPACT_DATA_READ', path, async () => {
    const file = await open(path, 'r').catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (file === undefined) return undefined;
    let tokens: TokenFile | undefined;
    try {
      tokens = await TokenFile.fromHandle(path, file, key);
    } finally {
      if (tokens === undefined) await closeQuietly(file);
    }
    return tokens;
  });
}

async function writeTokens(
  file: FileHandle,
  key: string,
  sources: readonly SourceFile[],
  tokenizer: Tokenizer,
  choices: TokenChoices,
  control: TokenizeControl,
): Promise<void> {
  const hash = createHash('sha256');
  let numTokens = 0;
  let numUnknown = 0;
  const seed = seedOf(key);
  const writer = new BlockWriter(file, seed, 1);
  for await (const ids of tokenize(sources, tokenizer, choices, control)) {
    const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
    hash.update(bytes);
    await writer.write(bytes);
    numTokens += ids.length;
    if (tokenizer.unknownId !== undefined) for (const id of ids) if (id === tokenizer.unknownId) numUnknown++;
  }
  await writer.flush();
  const header: Header = {
    numTokens,
    idBytes: idBytesOf(tokenizer),
    sha256: hash.digest('hex'),
    numUnknown,
  };
  const start = new BlockWriter(file, seed);
  await start.write(Buffer.from((magic + JSON.stringify(header)).padEnd(payloadBytes)));
  await start.flush();
}

async function hashSources(
  sources: readonly SourceFile[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const hashes: string[] = [];
  for (const { path } of sources) hashes.push(await hashFile(path, signal));
  return hashes;
}

function contentKey(
  sources: readonly SourceFile[],
  hashes: readonly string[],
  tokenizer: Tokenizer,
  choices: TokenChoices,
): string {
  const { vocabularySize, endOfTextId, unknownId } = tokenizer;
  const files = sources.map(({ format }, i) => [format, hashes[i]]);
  const ids = { vocabularySize, endOfTextId, unknownId };
  const text = JSON.stringify([version, tokenizer.files(), ids, choices, files]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

const seedOf = (key: string): number => crc32(key);

const changedMeanwhile = (path: string): Error =>
  compactError('ERR_COMPACT_DATA_READ', `${path} changed while it was read`, {
    op: 'data',
    remedy: 'Start again when nothing writes to it any more',
  });

const damaged = (path: string): Error =>
  compactError('ERR_COMPACT_DATA_READ', `${path} is no longer what was written`, {
    op: 'data',
    remedy: 'Remove it and resume from the last checkpoint: the text is tokenised again',
  });
