import { compactError } from '../errors.js';

/** Where a line stands, for errors. */
export interface LinePlace {
  readonly path: string;
  readonly line: number;
}

/**
 * The text of a line of JSON lines.
 * @param field the key that holds it
 * @throws ERR_COMPACT_DATA_FORMAT with the line
 */
export function textOfLine(place: LinePlace, json: string, field: string): string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw badLine(place, field, (cause as Error).message, { remedy: oneObjectALine, cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badLine(place, field, Array.isArray(value) ? 'an array' : shorten(json), {
      remedy: oneObjectALine,
    });
  const object = value as Readonly<Record<string, unknown>>;
  const text = Object.hasOwn(object, field) ? object[field] : undefined;
  if (typeof text !== 'string')
    throw badLine(place, field, describe(object, field), { remedy: chooseField(object) });
  if (!text.isWellFormed())
    throw badLine(place, field, 'half of a surrogate pair, which is no character', {
      expected: 'text that UTF-8 can hold',
      remedy: 'Mend the escape (\\ud800 to \\udfff come in pairs), or leave the line out',
    });
  return text;
}

const oneObjectALine = "Write one object a line, e.g. jq -c '.[]' data.json > data.jsonl for an array";

function describe(object: Readonly<Record<string, unknown>>, field: string): string {
  if (Object.hasOwn(object, field)) return `\`${field}\` of type ${typeof object[field]}`;
  const keys = Object.keys(object);
  return keys.length === 0 ? 'an object without keys' : `an object with ${shorten(keys.join(', '))}`;
}

function chooseField(object: Readonly<Record<string, unknown>>): string {
  const candidate = Object.keys(object).find((key) => typeof object[key] === 'string') ?? 'content';
  return `Name the key that holds the text with textField, e.g. textField: ${JSON.stringify(candidate)}`;
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

function badLine(
  { path, line }: LinePlace,
  field: string,
  received: string,
  more: { readonly expected?: string; readonly remedy?: string; readonly cause?: unknown },
): Error {
  return compactError('ERR_COMPACT_DATA_FORMAT', `${path}, line ${line}, is not a document`, {
    op: 'data',
    expected: `an object with a string \`${field}\``,
    received,
    details: { line },
    ...more,
  });
}
