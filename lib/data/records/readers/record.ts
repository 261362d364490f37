import { compactError } from '../../../errors.js';

/** Where a record stands in its file, for errors. */
export interface RecordPlace {
  readonly path: string;
  /** What is counted: lines of JSON lines and CSV, elements of a JSON array, rows of a parquet file. */
  readonly unit: 'line' | 'item' | 'row';
  /** From 1. */
  readonly number: number;
}

/** One object of a file: a line, an element of an array, a row. Its values are what JSON could hold. */
export interface DataRecord {
  readonly place: RecordPlace;
  readonly fields: Readonly<Record<string, unknown>>;
}

export const placeText = ({ path, unit, number }: RecordPlace): string => `${path}, ${unit} ${number}`;

/** Of a file whose form is broken at some place. */
export function brokenRecord(
  place: RecordPlace,
  received: string,
  fields: { readonly expected: string; readonly remedy?: string; readonly cause?: unknown },
): Error {
  const { unit, number } = place;
  return compactError('ERR_COMPACT_DATA_FORMAT', `${placeText(place)}, is not a record`, {
    op: 'data',
    received,
    details: { [unit]: number },
    ...fields,
  });
}
