import type { DataRecord, RecordPlace } from '../readers/index.js';
import { completionKind } from './completion.js';
import type { Example } from './example.js';
import { badRecord } from './fields.js';
import type { Kind, KindOptions } from './kind.js';
import { labelsKind } from './labels.js';
import { messagesKind } from './messages.js';
import { preferenceKind } from './preference.js';
import { textKind } from './text.js';

export * from './example.js';
export { badRecord } from './fields.js';
export type { KindOptions } from './kind.js';

/** In the order in which they are looked for: fields of the later ones may stand beside those of the earlier. */
const kinds = {
  preference: preferenceKind,
  messages: messagesKind,
  completion: completionKind,
  labels: labelsKind,
  text: textKind,
} satisfies Readonly<Record<string, Kind>>;

/** What records are for: 'text', 'completion', 'messages', 'labels' or 'preference'. */
export type RecordKind = keyof typeof kinds;
export const recordKinds = Object.keys(kinds) as readonly RecordKind[];

/** An example, and where it was read. */
export interface PlacedExample {
  readonly place: RecordPlace;
  readonly example: Example;
}

/**
 * What records say. Their kind is told by the fields of the first one, and all have to be of one kind.
 *
 * @param kind where fields do not tell it, or tell another; the others are then looked over
 * @throws ERR_COMPACT_DATA_RECORD with the place, and what reading throws
 */
export async function* readExamples(
  records: AsyncIterable<DataRecord>,
  options: KindOptions,
  kind?: RecordKind,
): AsyncGenerator<PlacedExample> {
  let first: { readonly place: RecordPlace; readonly kind: RecordKind } | undefined;
  for await (const record of records) {
    const { place } = record;
    const found = kind ?? kindOf(record, options) ?? refused(record);
    first ??= { place, kind: found };
    if (found !== first.kind)
      throw badRecord(place, `is of another kind than the first`, {
        expected: `a record of the kind ${first.kind}, as ${first.place.unit} ${first.place.number}: ${kinds[first.kind].fields}`,
        received: `a record of the kind ${found}: ${kinds[found].fields}`,
        remedy: 'Train on one kind at a time, or say the kind, if all records have its fields',
      });
    yield { place, example: kinds[found].read(record, options) };
  }
}

/** The kind that a record's fields tell, if any. */
export const kindOf = ({ fields }: DataRecord, options: KindOptions): RecordKind | undefined =>
  recordKinds.find((kind) => kinds[kind].matches(fields, options));

function refused({ place, fields }: DataRecord): never {
  const names = Object.keys(fields);
  throw badRecord(place, 'has the fields of no kind', {
    expected: recordKinds.map((kind) => `${kinds[kind].fields} (${kind})`).join(', '),
    received: names.length === 0 ? 'no fields' : names.slice(0, 8).join(', '),
    remedy: names.includes('conversations')
      ? 'Write `conversations` as `messages`, with `role` and `content` in place of `from` and `value`'
      : 'Name the field that holds the text with textField, or write the fields of one of the kinds',
  });
}
