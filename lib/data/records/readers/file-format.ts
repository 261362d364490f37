import { extname } from 'node:path';
import { compactError } from '../../../errors.js';

/** Forms of files that hold records. */
export const recordFormats = ['jsonl', 'json', 'csv', 'parquet'] as const;
/** One of `recordFormats`. */
export type RecordFormat = (typeof recordFormats)[number];

const byEnding: Readonly<Record<string, RecordFormat>> = {
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'json',
  '.csv': 'csv',
  '.tsv': 'csv',
  '.parquet': 'parquet',
};

/** What a file is by its first bytes, whatever it is called; by its ending, `.gz` left out, where they do not say it. */
export function formatOfFile(path: string, start: Buffer): RecordFormat {
  if (start.toString('latin1', 0, 4) === 'PAR1') return 'parquet';
  const text = start.toString('utf8').trimStart();
  if (/^\{\s*["}]/.test(text)) return 'jsonl';
  if (/^\[\s*[{\]]/.test(text)) return 'json';
  const format = byEnding[extname(path.replace(/\.gz$/i, '')).toLowerCase()];
  if (format !== undefined) return format;
  throw compactError('ERR_COMPACT_DATA_FORMAT', `${path} holds no records of a known form`, {
    op: 'data',
    expected: 'JSON lines, a JSON array of objects, a parquet file, or a table that is called .csv or .tsv',
    received: JSON.stringify(text.slice(0, 40)),
    remedy: `Say what it is with format: ${recordFormats.join(', ')}`,
  });
}
