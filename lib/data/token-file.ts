import { createHash } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { writeAtomically } from '../formats/index.js';
import type { SourceFile } from './sources.js';
import { readPieces } from './text-reader.js';
import type { Tokenizer } from './types.js';

/*
 * A tokenised corpus on disk, read by position: memory does not grow with the text, and a resumed run does not
 * tokenise again. A header of 64 bytes (magic, version, bytes of an id, number of ids, SHA-256 of the ids), then the
 * ids in the machine's byte order, two bytes each where the vocabulary allows.
 */
const magic = `TOKENS${endianness()}`;
const version = 1;
const headerBytes = 64;

export class TokenFile {
  readonly numTokens: number;
  /** Of the ids: tells whether two runs see the same text. */
  readonly sha256: string;
  readonly #file: FileHandle;
  readonly #idBytes: number;

  private constructor(file: FileHandle, header: { numTokens: number; idBytes: number; sha256: string }) {
    this.#file = file;
    this.numTokens = header.numTokens;
    this.#idBytes = header.idBytes;
    this.sha256 = header.sha256;
  }

  /**
   * Opens the tokenised form of some files, made now unless `folder` has it from before.
   * @throws ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT, ERR_COMPACT_DATA_READ, ERR_COMPACT_CHECKPOINT_WRITE
   */
  static async open(
    folder: string,
    sources: readonly SourceFile[],
    tokenizer: Tokenizer,
  ): Promise<TokenFile> {
    const path = join(folder, `${cacheKey(sources, tokenizer)}.tokens`);
    const known = await openWhole(path);
    if (known !== undefined) return known;
    const madeFolder = await mkdir(folder, { recursive: true });
    try {
      await writeAtomically(path, (temporaryPath) => tokenize(temporaryPath, sources, tokenizer));
    } catch (error) {
      if (madeFolder !== undefined) await rm(madeFolder, { recursive: true, force: true });
      throw error;
    }
    return (await openWhole(path))!;
  }

  /** `count` ids from position `start` on. */
  async read(start: number, count: number): Promise<Uint16Array | Uint32Array> {
    const ids = this.#idBytes === 2 ? new Uint16Array(count) : new Uint32Array(count);
    await this.#file.read(new Uint8Array(ids.buffer), 0, ids.byteLength, headerBytes + start * this.#idBytes);
    return ids;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** @internal */
  static async fromHandle(file: FileHandle): Promise<TokenFile | undefined> {
    const header = Buffer.alloc(headerBytes);
    await file.read(header, 0, headerBytes, 0);
    const idBytes = header.readUInt32LE(12);
    const numTokens = Number(header.readBigUInt64LE(16));
    const { size } = await file.stat();
    const isWhole =
      header.toString('latin1', 0, 8) === magic &&
      header.readUInt32LE(8) === version &&
      size === headerBytes + numTokens * idBytes;
    return isWhole
      ? new TokenFile(file, { numTokens, idBytes, sha256: header.toString('hex', 24, 56) })
      : undefined;
  }
}

async function openWhole(path: string): Promise<TokenFile | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  const tokens = await TokenFile.fromHandle(file);
  if (tokens === undefined) await file.close();
  return tokens;
}

async function tokenize(path: string, sources: readonly SourceFile[], tokenizer: Tokenizer): Promise<void> {
  const IdArray = tokenizer.vocabularySize <= 65_536 ? Uint16Array : Uint32Array;
  const hash = createHash('sha256');
  let numTokens = 0;
  const file = await open(path, 'wx');
  try {
    await file.write(Buffer.alloc(headerBytes));
    for (const source of sources) {
      for await (const piece of readPieces(source)) {
        const encoded = tokenizer.encode(piece.text);
        const end = piece.endsDocument && tokenizer.endOfTextId !== undefined ? [tokenizer.endOfTextId] : [];
        const ids = new IdArray(encoded.length + end.length);
        ids.set(encoded);
        ids.set(end, encoded.length);
        const bytes = new Uint8Array(ids.buffer);
        hash.update(bytes);
        await file.writeFile(bytes);
        numTokens += ids.length;
      }
    }
    const header = Buffer.alloc(headerBytes);
    header.write(magic, 'latin1');
    header.writeUInt32LE(version, 8);
    header.writeUInt32LE(IdArray.BYTES_PER_ELEMENT, 12);
    header.writeBigUInt64LE(BigInt(numTokens), 16);
    hash.digest().copy(header, 24);
    await file.write(header, 0, headerBytes, 0);
  } finally {
    await file.close();
  }
}

function cacheKey(sources: readonly SourceFile[], tokenizer: Tokenizer): string {
  const hash = createHash('sha256').update(JSON.stringify(tokenizer.files()));
  for (const { path, numBytes, modifiedMs } of sources)
    hash.update(JSON.stringify([path, numBytes, modifiedMs]));
  return hash.digest('hex').slice(0, 16);
}
