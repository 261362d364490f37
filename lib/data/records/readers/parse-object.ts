import { shown } from '../../../options.js';
import { brokenRecord } from './record.js';
import type { RecordPlace } from './record.js';

/** @throws ERR_COMPACT_DATA_FORMAT for what is not one JSON object */
export function parseObject(place: RecordPlace, json: string): Readonly<Record<string, unknown>> {
  const expected = 'one JSON object, { "key": value }';
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const remedy =
      place.unit === 'line' ? "Write one object a line, e.g. with jq -c '.' data.json" : undefined;
    throw brokenRecord(place, (cause as Error).message, { expected, remedy, cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw brokenRecord(place, Array.isArray(value) ? 'an array' : shown(value), { expected });
}
