import { createReadStream } from 'node:fs';
import { TextDecoder } from 'node:util';
import { compactError, isCompactError } from '../errors.js';
import { unreadable } from './sources.js';
import type { SourceFile } from './sources.js';

/** A part of a document, short enough to be encoded at once. */
export interface TextPiece {
  readonly text: string;
  readonly endsDocument: boolean;
}

/** Longest piece, in UTF-16 units; longer documents are cut behind a line, else a space, where possible. */
const maxPieceLength = 65_536;

/**
 * The documents of a file, in pieces: a text file is one document, each line of a JSONL file is one.
 *
 * @throws ERR_COMPACT_DATA_BINARY with the byte offset, ERR_COMPACT_DATA_FORMAT with the line, ERR_COMPACT_DATA_READ
 */
export async function* readPieces(file: SourceFile): AsyncGenerator<TextPiece> {
  if (file.format === 'text') {
    yield* cutPieces(readText(file.path));
    return;
  }
  let line = 0;
  for await (const text of readLines(file.path)) {
    line++;
    if (text.trim() !== '') yield* cutPieces([textOfLine(file.path, line, text)]);
  }
}

/** Decodes strictly: what is not UTF-8 text is refused, never replaced. */
async function* readText(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let offset = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      const bytes = chunk as Buffer;
      const nul = bytes.indexOf(0);
      if (nul >= 0) throw binary(path, offset + nul, 'a NUL byte');
      yield decode(decoder, path, offset, bytes);
      offset += bytes.length;
    }
    yield decode(decoder, path, offset);
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

async function* readLines(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const text of readText(path)) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

function textOfLine(path: string, line: number, json: string): string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw badLine(path, line, (cause as Error).message, cause);
  }
  const text = typeof value === 'object' && value !== null && 'text' in value ? value.text : undefined;
  if (typeof text !== 'string') throw badLine(path, line, json.length > 60 ? `${json.slice(0, 60)}…` : json);
  return text;
}

async function* cutPieces(texts: AsyncIterable<string> | Iterable<string>): AsyncGenerator<TextPiece> {
  let rest = '';
  for await (const text of texts) {
    rest += text;
    while (rest.length > maxPieceLength) {
      const end = cutPoint(rest);
      yield { text: rest.slice(0, end), endsDocument: false };
      rest = rest.slice(end);
    }
  }
  yield { text: rest, endsDocument: true };
}

function cutPoint(text: string): number {
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

function badLine(path: string, line: number, received: string, cause?: unknown): Error {
  return compactError('ERR_COMPACT_DATA_FORMAT', `${path}, line ${line}, is not a document`, {
    op: 'data',
    expected: 'an object with a string `text`',
    received,
    details: { line },
    cause,
  });
}
