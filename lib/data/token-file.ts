import { createHash } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { writeAtomically } from '../formats/index.js';
import { idBytesOf } from './encode-pieces.js';
import type { SourceFile } from './sources.js';
import { tokenize } from './tokenize.js';
import type { TokenChoices, TokenizeControl } from './tokenize.js';
import type { Tokenizer } from './types.js';

/*
 * A tokenised corpus on disk, read by position: memory does not grow with the text, and a resumed run does not
 * tokenise again. A header of 64 bytes (magic, version, bytes of an id, number of ids, SHA-256 of the ids, number of
 * unknown ones among them), then the ids in the machine's byte order, two bytes each where the vocabulary allows.
 * The version is part of the name and rises whenever the same text and tokenizer give other ids.
 */
const magic = `TOKENS${endianness()}`;
const version = 2;
const headerBytes = 64;

export class TokenFile {
  readonly numTokens: number;
  /** Of the ids: tells whether two runs see the same text. */
  readonly sha256: string;
  /** Ids that stand for text which the tokenizer has no token for. */
  readonly numUnknown: number;
  readonly #file: FileHandle;
  readonly #idBytes: number;

  private constructor(
    file: FileHandle,
    header: { numTokens: number; numUnknown: number; idBytes: number; sha256: string },
  ) {
    this.#file = file;
    this.numTokens = header.numTokens;
    this.numUnknown = header.numUnknown;
    this.#idBytes = header.idBytes;
    this.sha256 = header.sha256;
  }

  /**
   * Opens the tokenised form of some files, made now unless `folder` has it from before.
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
    const path = join(folder, `${cacheKey(sources, tokenizer, choices)}.tokens`);
    const known = await openWhole(path);
    if (known !== undefined) return known;
    const madeFolder = await mkdir(folder, { recursive: true });
    try {
      await writeAtomically(path, (temporaryPath) =>
        writeTokens(temporaryPath, sources, tokenizer, choices, control),
      );
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
      ? new TokenFile(file, {
          numTokens,
          numUnknown: Number(header.readBigUInt64LE(56)),
          idBytes,
          sha256: header.toString('hex', 24, 56),
        })
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

async function writeTokens(
  path: string,
  sources: readonly SourceFile[],
  tokenizer: Tokenizer,
  choices: TokenChoices,
  control: TokenizeControl,
): Promise<void> {
  const hash = createHash('sha256');
  let numTokens = 0;
  let numUnknown = 0;
  const file = await open(path, 'wx');
  try {
    await file.write(Buffer.alloc(headerBytes));
    for await (const ids of tokenize(sources, tokenizer, choices, control)) {
      const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
      hash.update(bytes);
      await file.writeFile(bytes);
      numTokens += ids.length;
      if (tokenizer.unknownId !== undefined)
        for (const id of ids) if (id === tokenizer.unknownId) numUnknown++;
    }
    const header = Buffer.alloc(headerBytes);
    header.write(magic, 'latin1');
    header.writeUInt32LE(version, 8);
    header.writeUInt32LE(idBytesOf(tokenizer), 12);
    header.writeBigUInt64LE(BigInt(numTokens), 16);
    hash.digest().copy(header, 24);
    header.writeBigUInt64LE(BigInt(numUnknown), 56);
    await file.write(header, 0, headerBytes, 0);
  } finally {
    await file.close();
  }
}

function cacheKey(sources: readonly SourceFile[], tokenizer: Tokenizer, choices: TokenChoices): string {
  const hash = createHash('sha256').update(JSON.stringify([version, tokenizer.files(), choices]));
  for (const { path, numBytes, modifiedMs } of sources)
    hash.update(JSON.stringify([path, numBytes, modifiedMs]));
  return hash.digest('hex').slice(0, 16);
}
