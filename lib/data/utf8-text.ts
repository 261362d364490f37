import { TextDecoder } from 'node:util';
import { compactError, isCompactError } from '../errors.js';
import { unreadable } from './sources.js';

/** Text of a file, and the bytes that were read up to its end. */
export interface TextChunk {
  readonly text: string;
  readonly readBytes: number;
}

/** A line without its end, counted from 1. */
export interface TextLine extends TextChunk {
  readonly line: number;
}

/** Longest line, in UTF-16 units; a string of JavaScript holds about twice as many. */
export const maxLineLength = 2 ** 28;

/**
 * Decodes strictly: what is not UTF-8 text is refused, never replaced. A byte order mark is left out.
 *
 * @param path of the file that the bytes are of, for errors
 * @throws ERR_COMPACT_DATA_BINARY with the byte offset, ERR_COMPACT_DATA_READ
 */
export async function* decodeText(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<TextChunk> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let offset = 0;
  try {
    for await (const chunk of bytes) {
      const nul = chunk.indexOf(0);
      if (nul >= 0) throw binary(path, offset + nul, 'a NUL byte');
      const text = decode(decoder, path, offset, chunk);
      offset += chunk.length;
      yield { text, readBytes: offset };
    }
    yield { text: decode(decoder, path, offset), readBytes: offset };
  } catch (error) {
    throw isCompactError(error) ? error : unreadable(path, error);
  }
}

function decode(decoder: TextDecoder, path: string, offset: number, bytes?: Buffer): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch {
    throw binary(path, offset, 'bytes that are not UTF-8');
  }
}

/**
 * The lines of a text. The parts of an unfinished line are joined once, when it ends: a line of many chunks takes no more
 * than their sum.
 *
 * @throws ERR_COMPACT_DATA_FORMAT for a line longer than `maxLineLength`, and what reading throws
 */
export async function* splitLines(path: string, chunks: AsyncIterable<TextChunk>): AsyncGenerator<TextLine> {
  let parts: string[] = [];
  let length = 0;
  let line = 1;
  let readBytes = 0;
  for await (const chunk of chunks) {
    const [first = '', ...others] = chunk.text.split('\n');
    readBytes = chunk.readBytes;
    parts.push(first);
    length += first.length;
    for (const next of others) {
      yield { text: parts.join(''), line, readBytes };
      parts = [next];
      length = next.length;
      line++;
    }
    if (length > maxLineLength)
      throw compactError('ERR_COMPACT_DATA_FORMAT', `line ${line} of ${path} is too long`, {
        op: 'data',
        expected: 'a line of an ordinary length',
        received: `more than ${maxLineLength} characters`,
        remedy: 'Cut the document into several, one a line',
        details: { line },
      });
  }
  yield { text: parts.join(''), line, readBytes };
}

function binary(path: string, offset: number, found: string): Error {
  return compactError('ERR_COMPACT_DATA_BINARY', `${path} is not text`, {
    op: 'data',
    expected: 'UTF-8',
    received: `${found} near byte ${offset}`,
    remedy: 'Convert the file to UTF-8 text, or leave it out',
  });
}
