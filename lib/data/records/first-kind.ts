import { kindOf } from './kinds/index.js';
import type { RecordKind } from './kinds/index.js';
import { isGiven } from './kinds/fields.js';
import { readRecords, type ReadOptions } from './readers/index.js';

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

/**
 * Whether the first record of a file has a list of classes, and not one.
 * @throws what reading throws
 */
export async function hasLabelLists(path: string, options: ReadOptions): Promise<boolean> {
  for await (const { fields } of readRecords(path, options)) return isGiven(fields['labels']);
  return false;
}
