import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { readFully, writeFully } from '../formats/index.js';

/*
 * A file of blocks that each end with a checksum, so that reading any part of it finds out whether that part is what
 * was written. The cost is that of reading, whatever the size of the file, and what changes while it is open is found,
 * too; checking one sum over everything when the file is opened could do neither. The checksum starts from the number of
 * the block and a seed of the file, so that blocks which trade places, or come from another file, are found as well.
 */
export const blockBytes = 4096;
/** What a block holds beside its checksum: a whole number of ids of two or four bytes. */
export const payloadBytes = blockBytes - 4;

/** Blocks that are written at once. */
const blocksAtOnce = 64;

/** Writes payload after payload from the start of a new file. */
export class BlockWriter {
  readonly #file: FileHandle;
  readonly #seed: number;
  readonly #buffer = Buffer.alloc(blocksAtOnce * blockBytes);
  /** Blocks that have been written to the file, and bytes of payload that wait in the buffer. */
  #numBlocks: number;
  #numBytes = 0;

  /** @param firstBlock what comes before it is left for others to write */
  constructor(file: FileHandle, seed: number, firstBlock = 0) {
    this.#file = file;
    this.#seed = seed;
    this.#numBlocks = firstBlock;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.byteLength) {
      const offset = this.#numBytes % payloadBytes;
      const part = bytes.subarray(done, done + payloadBytes - offset);
      this.#buffer.set(part, Math.floor(this.#numBytes / payloadBytes) * blockBytes + offset);
      this.#numBytes += part.byteLength;
      done += part.byteLength;
      if (this.#numBytes === blocksAtOnce * payloadBytes) await this.flush();
    }
  }

  /** Writes what waits; the last block is filled up with zeros. */
  async flush(): Promise<void> {
    const count = Math.ceil(this.#numBytes / payloadBytes);
    const blocks = this.#buffer.subarray(0, count * blockBytes);
    for (let i = 0; i < count; i++) {
      const block = blocks.subarray(i * blockBytes, (i + 1) * blockBytes);
      block.writeUInt32LE(checksum(block, this.#seed, this.#numBlocks + i), payloadBytes);
    }
    await writeFully(this.#file, blocks, this.#numBlocks * blockBytes);
    this.#buffer.fill(0);
    this.#numBlocks += count;
    this.#numBytes = 0;
  }
}

/**
 * Payload of some blocks, from a byte of the first one on.
 * @returns undefined when a block is not what was written, or not there
 */
export async function readBlocks(
  file: FileHandle,
  seed: number,
  firstBlock: number,
  byteOffset: number,
  byteLength: number,
): Promise<Uint8Array | undefined> {
  const first = firstBlock + Math.floor(byteOffset / payloadBytes);
  const count = Math.ceil(((byteOffset % payloadBytes) + byteLength) / payloadBytes);
  const blocks = Buffer.allocUnsafe(count * blockBytes);
  if ((await readFully(file, blocks, first * blockBytes)) < blocks.length) return undefined;
  const result = new Uint8Array(byteLength);
  let done = 0;
  for (let i = 0; i < count; i++) {
    const block = blocks.subarray(i * blockBytes, (i + 1) * blockBytes);
    if (block.readUInt32LE(payloadBytes) !== checksum(block, seed, first + i)) return undefined;
    const begin = i === 0 ? byteOffset % payloadBytes : 0;
    const part = block.subarray(begin, Math.min(payloadBytes, begin + byteLength - done));
    result.set(part, done);
    done += part.length;
  }
  return result;
}

const checksum = (block: Buffer, seed: number, index: number): number =>
  crc32(block.subarray(0, payloadBytes), (seed ^ index) >>> 0);
