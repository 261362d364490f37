import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { compactError, isCompactError } from '../../../errors.js';
import { regularFile } from '../../regular-file.js';
import { unreadable } from '../../sources.js';
import { peek } from './peek.js';

/** Bytes of the start of a file by which its form is told. */
const startBytes = 4096;

/** What a file holds, as a stream of bytes, and the first of them. */
export interface FileBytes {
  readonly isCompressed: boolean;
  readonly start: Buffer;
  readonly bytes: AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/**
 * Opens a file; one that is compressed by gzip, which its first bytes say, is decompressed on the way.
 * @throws ERR_COMPACT_DATA_READ; while it is read, ERR_COMPACT_DATA_FORMAT where the compressed form is broken
 */
export async function openBytes(path: string): Promise<FileBytes> {
  await regularFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const stored = await peekBytes(path, createReadStream(path));
  const isCompressed = stored.start[0] === 0x1f && stored.start[1] === 0x8b;
  if (!isCompressed) return { ...stored, isCompressed };
  return { ...(await peekBytes(path, gunzip(path, stored.bytes))), isCompressed };
}

async function peekBytes(
  path: string,
  stream: AsyncIterable<Buffer>,
): Promise<Omit<FileBytes, 'isCompressed'>> {
  const isEnough = (start: readonly Buffer[]): boolean =>
    start.reduce((sum, { length }) => sum + length, 0) >= startBytes;
  try {
    const { start, chunks, close } = await peek(stream, isEnough);
    return { start: Buffer.concat(start).subarray(0, startBytes), bytes: chunks, close };
  } catch (error) {
    throw isCompactError(error) ? error : unreadable(path, error);
  }
}

async function* gunzip(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stream = createGunzip();
  pipeline(bytes, stream, () => undefined);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (cause) {
    if (!String((cause as NodeJS.ErrnoException).code).startsWith('Z_')) throw cause;
    throw compactError('ERR_COMPACT_DATA_FORMAT', `${path} cannot be decompressed`, {
      op: 'data',
      expected: 'a whole file of gzip',
      received: (cause as Error).message,
      remedy: 'Get the file anew; gzip -t tells whether it is whole',
      cause,
    });
  }
}
