import { open } from 'node:fs/promises';
import { compactError } from '../../../errors.js';
import { closeQuietly, onPath, readFully } from '../../../formats/index.js';
import { decodeText } from '../../utf8-text.js';
import type { TextChunk } from '../../utf8-text.js';
import { readCsv } from './csv.js';
import type { CsvSeparator } from './csv.js';
import { openBytes } from './file-bytes.js';
import type { FileBytes } from './file-bytes.js';
import { formatOfFile } from './file-format.js';
import type { RecordFormat } from './file-format.js';
import { readJsonArray } from './json-array.js';
import { readJsonLines } from './jsonl.js';
import { readParquet } from './parquet.js';
import type { DataRecord } from './record.js';

export { type CsvSeparator, csvSeparators } from './csv.js';
export { type RecordFormat, recordFormats } from './file-format.js';
export { placeText } from './record.js';
export type { DataRecord, RecordPlace } from './record.js';

/** How a file is read; what is left out is told of its content. */
export interface ReadOptions {
  /** Default: what the content is, whatever the name; else the ending of the name. */
  readonly format?: RecordFormat;
  /** Between the fields of a CSV file. Default: that which stands most often in its first line. */
  readonly separator?: CsvSeparator;
}

/** Largest parquet file that is decompressed by gzip: all of it has to be in memory. */
const maxUnzippedParquetBytes = 2 ** 31;

/**
 * The records of a file in order, one in memory at a time (of parquet, a row group): JSON lines, a JSON array of objects,
 * CSV whose first line names the columns, or parquet, each also compressed by gzip. Text is UTF-8, with or without a byte
 * order mark.
 *
 * @throws ERR_COMPACT_DATA_READ, ERR_COMPACT_DATA_BINARY where text is not UTF-8, ERR_COMPACT_DATA_FORMAT with the line,
 *   item or row
 */
export async function* readRecords(path: string, options: ReadOptions = {}): AsyncGenerator<DataRecord> {
  const file = await openBytes(path);
  try {
    const format = options.format ?? formatOfFile(path, file.start);
    const text = (): AsyncIterable<TextChunk> => decodeText(path, file.bytes);
    if (format === 'parquet') yield* readParquetFile(path, file);
    else if (format === 'csv') yield* readCsv(path, text(), options.separator);
    else yield* format === 'json' ? readJsonArray(path, text()) : readJsonLines(path, text());
  } finally {
    await file.close();
  }
}

async function* readParquetFile(
  path: string,
  { isCompressed, bytes }: FileBytes,
): AsyncGenerator<DataRecord> {
  if (isCompressed) {
    const whole = await concatenate(path, bytes);
    yield* readParquet(path, {
      byteLength: whole.byteLength,
      slice: (start, end) => whole.slice(start, end),
    });
    return;
  }
  const file = await onPath('ERR_COMPACT_DATA_READ', path, () => open(path, 'r'));
  try {
    const byteLength = (await file.stat()).size;
    yield* readParquet(path, {
      byteLength,
      slice: async (start, end = byteLength) => {
        const part = new Uint8Array(Math.max(0, end - start));
        const length = await readFully(file, part, start);
        return part.buffer.slice(0, length);
      },
    });
  } finally {
    await closeQuietly(file);
  }
}

async function concatenate(path: string, bytes: AsyncIterable<Buffer>): Promise<ArrayBuffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of bytes) {
    parts.push(part);
    length += part.length;
    if (length > maxUnzippedParquetBytes)
      throw compactError('ERR_COMPACT_DATA_FORMAT', `${path} is too large to be read compressed`, {
        op: 'data',
        expected: `a parquet file of at most ${maxUnzippedParquetBytes} bytes`,
        remedy: 'Decompress it first: gunzip file.parquet.gz',
      });
  }
  const whole = new Uint8Array(length);
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole.buffer;
}
