import { createReadStream } from 'node:fs';
import { textOfLine } from './json-lines.js';
import type { SourceFile } from './sources.js';
import { decodeText, splitLines } from './utf8-text.js';
import type { TextChunk } from './utf8-text.js';

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

/**
 * The documents of a file, in pieces: a text file is one document, each line of a JSONL file is one.
 *
 * @param textField key of the text in a line
 * @throws ERR_COMPACT_DATA_BINARY with the byte offset, ERR_COMPACT_DATA_FORMAT with the line, ERR_COMPACT_DATA_READ
 */
export async function* readPieces(file: SourceFile, textField: string): AsyncGenerator<TextPiece> {
  const chunks = decodeText(file.path, createReadStream(file.path));
  if (file.format === 'text') {
    yield* cutPieces(chunks);
    return;
  }
  const lines = splitLines(file.path, chunks);
  for await (const { text, line, readBytes } of lines) {
    if (text.trim() === '') continue;
    yield* cutPieces([{ text: textOfLine({ path: file.path, line }, text, textField), readBytes }]);
  }
}

async function* cutPieces(texts: AsyncIterable<TextChunk> | Iterable<TextChunk>): AsyncGenerator<TextPiece> {
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
