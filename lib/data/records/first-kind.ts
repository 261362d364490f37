import { kindOf } from './kinds/index.js';
import type { RecordKind } from './kinds/index.js';
import { readRecords } from './readers/index.js';

const endings = /\.(jsonl|ndjson|json|csv|tsv|parquet)(\.gz)?$/i;

/**
 * The kind of a file's first record.
 * @returns undefined for a file that is none of records by its name, that is empty, or whose first record is of no kind
 * @throws ERR_COMPACT_DATA_READ, ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT
 */
export async function firstKind(path: string): Promise<RecordKind | undefined> {
  if (!endings.test(path)) return undefined;
  for await (const record of readRecords(path)) return kindOf(record, { textField: 'text' });
  return undefined;
}
