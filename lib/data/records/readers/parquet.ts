import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import * as zlib from 'node:zlib';
import type { AsyncBuffer, Compressors, FileMetaData, ParquetParsers } from 'hyparquet';
import { compactError, isCompactError } from '../../../errors.js';
import { brokenRecord } from './record.js';
import type { DataRecord } from './record.js';

/** The bytes of a parquet file at any place of it. */
export type RandomAccess = AsyncBuffer;

/** Newer versions of Node have it. */
const { zstdDecompressSync } = zlib as {
  zstdDecompressSync?: (bytes: Uint8Array, options: object) => Buffer;
};

/** Decompression by Node's own zlib; Snappy is the library's. A page says how long it is, and may be no longer. */
const compressors: Compressors = {
  GZIP: (bytes, length) => gunzipSync(bytes, { maxOutputLength: Math.max(1, length) }),
  BROTLI: (bytes, length) => brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, length) }),
  ...(zstdDecompressSync && {
    ZSTD: (bytes, length) => zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, length) }),
  }),
};

/** Strict, where the library would put U+FFFD for what is not UTF-8. */
const parsers: Partial<ParquetParsers> = {
  stringFromBytes: (bytes: Uint8Array | undefined) =>
    bytes && new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
};

/**
 * Rows of a parquet file, a row group in memory at a time. 64-bit integers become numbers where those hold them.
 *
 * @throws ERR_COMPACT_DATA_FORMAT
 */
export async function* readParquet(path: string, file: RandomAccess): AsyncGenerator<DataRecord> {
  // Loaded when it is needed: no other kind of file is read by it.
  const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  const metadata = await reading(path, 1, () => parquetMetadataAsync(file, { parsers }));
  let number = 1;
  for (const numRows of groupSizes(path, metadata)) {
    const rowStart = number - 1;
    const rows = await reading(path, number, () =>
      parquetReadObjects({ file, metadata, compressors, parsers, rowStart, rowEnd: rowStart + numRows }),
    );
    for (const row of rows)
      yield { place: { path, unit: 'row', number: number++ }, fields: plain(row) as Record<string, unknown> };
  }
}

function groupSizes(path: string, { row_groups }: FileMetaData): readonly number[] {
  return row_groups.map(({ num_rows }) => {
    const count = Number(num_rows);
    if (Number.isSafeInteger(count) && count >= 0) return count;
    throw notParquet(path, `a row group of ${count} rows`);
  });
}

/** What the library makes of values that JSON could not hold is made plain; its rows are not used by others. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

async function reading<T>(path: string, row: number, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isCompactError(error)) throw error;
    if (row === 1) throw notParquet(path, error);
    throw brokenRecord({ path, unit: 'row', number: row }, messageOf(error), {
      expected: 'a row group that can be decoded',
      cause: error,
    });
  }
}

function notParquet(path: string, cause: unknown): Error {
  return compactError('ERR_COMPACT_DATA_FORMAT', `${path} cannot be read as parquet`, {
    op: 'data',
    expected: `pages that are uncompressed, or compressed with Snappy, ${Object.keys(compressors).join(', ')}, and text in UTF-8`,
    received: messageOf(cause),
    remedy: "Write it anew with Snappy, e.g. pyarrow.parquet.write_table(table, path, compression='snappy')",
    cause,
  });
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
