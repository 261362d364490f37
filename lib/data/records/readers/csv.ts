import { Readable, pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import type { CsvError } from 'csv-parse';
import { shown } from '../../../options.js';
import { maxLineLength } from '../../utf8-text.js';
import type { TextChunk } from '../../utf8-text.js';
import { peek } from './peek.js';
import { brokenRecord } from './record.js';
import type { DataRecord, RecordPlace } from './record.js';

/** What may stand between the fields of a line. */
export const csvSeparators = [',', '\t', ';', '|'] as const;
/** One of `csvSeparators`: comma, tab, semicolon or bar. */
export type CsvSeparator = (typeof csvSeparators)[number];

/** Longest first line, of which the separator is told. */
const maxHeaderLength = 2 ** 20;

/**
 * Rows of a table whose first line names its columns (RFC 4180): fields in double quotes may hold separators, quotes
 * (doubled) and ends of lines. All values are strings. Lines end in LF, CRLF or CR; empty ones are passed over.
 *
 * @param separator default: that which stands most often in the first line
 * @throws ERR_COMPACT_DATA_FORMAT with the line that a row begins on
 */
export async function* readCsv(
  path: string,
  chunks: AsyncIterable<TextChunk>,
  separator?: CsvSeparator,
): AsyncGenerator<DataRecord> {
  const textOf = (start: readonly TextChunk[]): string => start.map(({ text }) => text).join('');
  const peeked = await peek(chunks, (start) => {
    const text = textOf(start);
    return headerOf(text) !== undefined || text.length > maxHeaderLength;
  });
  const header = headerOf(textOf(peeked.start)) ?? textOf(peeked.start);
  const parser = parse({
    delimiter: separator ?? separatorOf(header),
    record_delimiter: ['\r\n', '\n', '\r'],
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: maxLineLength,
    raw: true,
  });
  // An error of the text comes out of the parser, too, and leaving the loop ends both.
  pipeline(Readable.from(texts(peeked.chunks)), parser, () => undefined);
  let names: readonly string[] | undefined;
  let line = 1;
  try {
    for await (const { record, raw } of parser as AsyncIterable<{ record: string[]; raw: string }>) {
      // Empty lines before a row are a part of its raw form.
      const place = { path, unit: 'line', number: line + countLineEnds(/^[\r\n]*/.exec(raw)![0]) } as const;
      line += countLineEnds(raw);
      if (names === undefined) names = checkNames(place, record);
      else yield { place, fields: nameFields(place, names, record) };
    }
  } catch (error) {
    const { code, lines } = error as CsvError & { readonly lines: number };
    if (!/^(CSV|INVALID)_/.test(code)) throw error;
    throw brokenRecord({ path, unit: 'line', number: lines }, (error as CsvError).message, {
      expected: 'fields in double quotes that end before a separator or the end of a line',
      remedy: 'Double the quotes in a field, and put the whole of it in quotes',
      cause: error,
    });
  }
}

async function* texts(chunks: AsyncIterable<TextChunk>): AsyncGenerator<string> {
  for await (const { text } of chunks) yield text;
}

/** Up to the first end of a line that is in no quotes, and not empty. */
const headerOf = (text: string): string | undefined =>
  /^[\r\n]*(?:"[^"]*"|[^"\r\n])+(?:\r\n|\n|\r(?!$))/.exec(text)?.[0];

function separatorOf(header: string): CsvSeparator {
  const unquoted = header.replaceAll(/"[^"]*"/g, '');
  const counts = csvSeparators.map((separator) => unquoted.split(separator).length);
  return csvSeparators[counts.indexOf(Math.max(...counts))]!;
}

function checkNames(place: RecordPlace, names: readonly string[]): readonly string[] {
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated === undefined && !names.includes('')) return names;
  const received = names.includes('') ? 'a column without a name' : `two columns named ${shown(repeated)}`;
  throw brokenRecord(place, received, {
    expected: 'a first line that names each column, e.g. prompt,completion',
  });
}

function nameFields(
  place: RecordPlace,
  names: readonly string[],
  record: readonly string[],
): Readonly<Record<string, string>> {
  if (record.length === names.length) return Object.fromEntries(names.map((name, i) => [name, record[i]!]));
  throw brokenRecord(place, `${record.length} fields`, {
    expected: `${names.length} fields, as the first line has columns`,
    remedy: 'Put fields that hold separators or ends of lines in double quotes',
  });
}

const countLineEnds = (text: string): number => text.match(/\r\n|\n|\r/g)?.length ?? 0;
