import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from '../api-error.js';
import { fromClient } from './from-client.js';
import type { Limits } from '../server-options.js';

/** What a file must not exceed. */
export type FileLimits = Pick<Limits, 'fileBytes' | 'lineBytes' | 'fileLines'>;

/** What was written. */
export interface ReceivedFile {
  readonly numBytes: number;
  readonly sha256: string;
}

/**
 * Writes a stream to a new file as it comes, so that memory does not grow with it, and waits until it is on the disk. Whoever
 * calls removes the file when this throws.
 *
 * @throws ApiError file_too_large, invalid_file_format; what the system or the stream throws
 */
export async function receiveFile(path: string, stream: Readable, limits: FileLimits): Promise<ReceivedFile> {
  const hash = createHash('sha256');
  let numBytes = 0;
  const checked = async function* (): AsyncGenerator<Buffer> {
    const lines = new LineCounter(limits);
    for await (const chunk of fromClient<Buffer>(stream)) {
      if (numBytes === 0) refuseCompressed(chunk);
      numBytes += chunk.length;
      if (numBytes > limits.fileBytes)
        throw new ApiError('file_too_large', `The file has more than ${limits.fileBytes} bytes`, {
          param: 'file',
          details: { maxBytes: limits.fileBytes },
        });
      lines.add(chunk);
      hash.update(chunk);
      yield chunk;
    }
  };
  // The file is there before anything can be refused: else it could be made after it was removed.
  await using file = await open(path, 'wx', 0o600);
  await pipeline(checked, file.createWriteStream({ flush: true }));
  return { numBytes, sha256: hash.digest('hex') };
}

/** A few bytes could become any number of them. */
function refuseCompressed(start: Buffer): void {
  if (start[0] !== 0x1f || start[1] !== 0x8b) return;
  throw new ApiError('invalid_file_format', 'The file is compressed. Upload the JSON lines themselves', {
    param: 'file',
  });
}

/** Refuses what has too many lines, or one that is too long, before any of it is parsed. */
class LineCounter {
  readonly #limits: FileLimits;
  #line = 1;
  #lineBytes = 0;

  constructor(limits: FileLimits) {
    this.#limits = limits;
  }

  add(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#grow(end - start);
      this.#line++;
      this.#lineBytes = 0;
      start = end + 1;
    }
    this.#grow(chunk.length - start);
  }

  #grow(numBytes: number): void {
    const { lineBytes, fileLines } = this.#limits;
    this.#lineBytes += numBytes;
    const line = this.#line;
    if (this.#lineBytes > lineBytes)
      throw new ApiError('invalid_file_format', `Line ${line} has more than ${lineBytes} bytes`, {
        param: 'file',
        details: { line, maxBytes: lineBytes },
      });
    if (line > fileLines && this.#lineBytes > 0)
      throw new ApiError('file_too_large', `The file has more than ${fileLines} lines`, {
        param: 'file',
        details: { maxLines: fileLines },
      });
  }
}
