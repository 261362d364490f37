import { compactError } from '../../../errors.js';
import { shown } from '../../../options.js';
import { placeText } from '../readers/index.js';
import type { RecordPlace } from '../readers/index.js';

/** What is wrong with a record, of which all that its kind asks for was looked at. */
export interface RecordProblem {
  readonly expected: string;
  readonly received?: string;
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** @param what goes on after the place, e.g. 'has no completion' */
export function badRecord(place: RecordPlace, what: string, problem: RecordProblem): Error {
  return compactError('ERR_COMPACT_DATA_RECORD', `${placeText(place)}, ${what}`, {
    op: 'data',
    details: { [place.unit]: place.number },
    ...problem,
  });
}

/** A value that is there: JSON and tables say in several ways that one is not. */
export const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A text of a record.
 * @param name as it is to be called in errors, e.g. `messages[1].content`
 */
export function textOf(place: RecordPlace, value: unknown, name: string): string {
  const expected = `text in \`${name}\``;
  if (!isGiven(value)) throw badRecord(place, `has no \`${name}\``, { expected });
  if (typeof value !== 'string')
    throw badRecord(place, `has no text in \`${name}\``, { expected, received: shown(value) });
  checkWellFormed(place, value, name);
  return value;
}

/** What records are nested at most, far beyond any schema of a tool; templates are rendered with it. */
const maxDepth = 100;

/** Refuses text, anywhere in a value, that UTF-8 cannot hold, and values nested without measure. */
export function checkWellFormed(place: RecordPlace, value: unknown, name: string, depth = 0): void {
  if (depth > maxDepth)
    throw badRecord(place, `is nested too deeply in \`${name}\``, { expected: `at most ${maxDepth} levels` });
  if (typeof value === 'string' && !value.isWellFormed())
    throw badRecord(place, `holds half of a surrogate pair in \`${name}\``, {
      expected: 'text that UTF-8 can hold',
      remedy: 'Mend the escape (\\ud800 to \\udfff come in pairs), or leave the record out',
    });
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    checkWellFormed(place, key, name, depth + 1);
    checkWellFormed(place, item, name, depth + 1);
  }
}

/** A list; tables of texts (CSV) hold it as JSON. */
export function listOf(place: RecordPlace, value: unknown, name: string): readonly unknown[] {
  const parsed = typeof value === 'string' ? parseJson(place, value, name) : value;
  if (Array.isArray(parsed)) return parsed;
  throw badRecord(place, `has no list in \`${name}\``, {
    expected: `a list in \`${name}\`, or its JSON`,
    received: shown(value),
  });
}

export function parseJson(place: RecordPlace, json: string, name: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw badRecord(place, `has no JSON in \`${name}\``, {
      expected: 'a list or an object, or its JSON',
      received: (cause as Error).message,
      cause,
    });
  }
}
