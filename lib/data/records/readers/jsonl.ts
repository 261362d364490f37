import { splitLines } from '../../utf8-text.js';
import type { TextChunk } from '../../utf8-text.js';
import { parseObject } from './parse-object.js';
import type { DataRecord } from './record.js';

/**
 * One object a line. Lines that are empty, or of spaces alone, are passed over but counted; a carriage return before the
 * end of a line belongs to the end.
 *
 * @throws ERR_COMPACT_DATA_FORMAT with the line
 */
export async function* readJsonLines(
  path: string,
  chunks: AsyncIterable<TextChunk>,
): AsyncGenerator<DataRecord> {
  for await (const { text, line } of splitLines(path, chunks)) {
    if (text.trim() === '') continue;
    const place = { path, unit: 'line', number: line } as const;
    yield { place, fields: parseObject(place, text) };
  }
}
