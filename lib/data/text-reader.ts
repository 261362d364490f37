import { createReadStream } from 'node:fs';
import { TextDecoder } from 'node:util';
import { compactError, isCompactError } from '../errors.js';
import { badLine, textOfLine } from './json-lines.js';
import { unreadable } from './sources.js';
import type { SourceFile } from './sources.js';

/** A part of a document, short enough to be encoded at once. */
export interface TextPiece {
  readonly text: string;
  /** Whether it goes on from the piece before it. */
  readonly continues: boolean;
  readonly endsDocument: boolean;
  /** Bytes of the file that have been read so far. */
  readonly readBytes: number;
}

/** Longest piece, in UTF-16 units; longer documents are cut where tokens seldom cross. */
const maxPieceLength = 65_536;

/** Longest line of JSON lines, in UTF-16 units; a string of JavaScript holds about twice as many. */
const maxLineLength = 2 ** 28;

/** Text of a file, and the bytes that were read up to its end. */
interface Chunk {
  readonly text: string;
  readonly readBytes: number;
}

/**
 * The documents of a file, in pieces: a text file is one document, each line of a JSONL file is one.
 *
 * @param textField key of the text in a line
 * @throws ERR_COMPACT_DATA_BINARY with the byte offset, ERR_COMPACT_DATA_FORMAT with the line, ERR_COMPACT_DATA_READ
 */
export async function* readPieces(file: SourceFile, textField: string): AsyncGenerator<TextPiece> {
  if (file.format === 'text') {
    yield* cutPieces(readText(file.path));
    return;
  }
  let line = 0;
  for await (const { text, readBytes } of readLines(file.path, textField)) {
    line++;
    if (text.trim() === '') continue;
    yield* cutPieces([{ text: textOfLine({ path: file.path, line }, text, textField), readBytes }]);
  }
}

/** Decodes strictly: what is not UTF-8 text is refused, never replaced. */
async function* readText(path: string): AsyncGenerator<Chunk> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let offset = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      const bytes = chunk as Buffer;
      const nul = bytes.indexOf(0);
      if (nul >= 0) throw binary(path, offset + nul, 'a NUL byte');
      const text = decode(decoder, path, offset, bytes);
      offset += bytes.length;
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

/** The parts of an unfinished line are joined once, when it ends: a line of many chunks takes no more than their sum. */
async function* readLines(path: string, textField: string): AsyncGenerator<Chunk> {
  let parts: string[] = [];
  let length = 0;
  let line = 1;
  let readBytes = 0;
  for await (const chunk of readText(path)) {
    const [first = '', ...others] = chunk.text.split('\n');
    readBytes = chunk.readBytes;
    parts.push(first);
    length += first.length;
    for (const next of others) {
      yield { text: parts.join(''), readBytes };
      parts = [next];
      length = next.length;
      line++;
    }
    if (length > maxLineLength)
      throw badLine({ path, line }, textField, `more than ${maxLineLength} characters`, {
        expected: 'a line of an ordinary length',
        remedy: 'Cut the document into several, one a line',
      });
  }
  yield { text: parts.join(''), readBytes };
}

async function* cutPieces(texts: AsyncIterable<Chunk> | Iterable<Chunk>): AsyncGenerator<TextPiece> {
  let rest = '';
  let continues = false;
  let readBytes = 0;
  for await (const chunk of texts) {
    rest += chunk.text;
    readBytes = chunk.readBytes;
    while (rest.length > maxPieceLength) {
      const end = cutPoint(rest);
      yield { text: rest.slice(0, end), continues, endsDocument: false, readBytes };
      rest = rest.slice(end);
      continues = true;
    }
  }
  yield { text: rest, continues, endsDocument: true, readBytes };
}

/**
 * Before a space or line end that follows a letter or digit: there every usual tokenizer starts a new word. Else behind
 * a line, a space, or as many characters as fit.
 */
function cutPoint(text: string): number {
  for (let end = maxPieceLength; end > maxPieceLength / 2; end--)
    if (/\s/.test(text[end]!) && /[\p{L}\p{N}]/u.test(text[end - 1]!)) return end;
  const line = text.lastIndexOf('\n', maxPieceLength - 1) + 1;
  const point = line || text.lastIndexOf(' ', maxPieceLength - 1) + 1 || maxPieceLength;
  const isInsidePair = /[\uD800-\uDBFF]/.test(text[point - 1]!);
  return isInsidePair ? point - 1 : point;
}

function binary(path: string, offset: number, found: string): Error {
  return compactError('ERR_COMPACT_DATA_BINARY', `${path} is not text`, {
    op: 'data',
    expected: 'UTF-8',
    received: `${found} near byte ${offset}`,
    remedy: 'Convert the file to UTF-8 text, or leave it out',
  });
}
