import type { Tokenizer } from '../../data/index.js';
import {
  openRecords,
  pathsOf,
  type EncodedRecord,
  type RecordDataOptions,
} from '../../data/records/index.js';
import { recordDataTable } from '../../data/records/record-data-options.js';
import { compactError } from '../../errors.js';
import { checkOptions } from '../../options.js';

/** What a text goes on from, and how it should go on, as tokens. */
export interface Reference {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

/**
 * The last thing that is learnt of each record, a completion or what the assistant says last, and all that stands before it.
 * Records of which nothing is left to learn are passed over.
 * @param contextLength tokens that a record may have
 * @throws ERR_COMPACT_CONFIG_VALUE for records that answer nothing, and what reading and encoding records throws
 */
export async function readReferences(
  data: RecordDataOptions,
  contextLength: number,
): Promise<readonly Reference[]> {
  const checked = checkOptions(data, recordDataTable, { what: 'data', prefix: 'data.' });
  const { records: files, validation: _, validationFraction: __, packing: ___, ...encoding } = checked;
  const encoder = await openRecords({ ...encoding, files: pathsOf(files), contextLength });
  const references: Reference[] = [];
  const { kind } = await encoder.encodeAll((record) => {
    const found = referenceOf(record);
    if (found !== undefined) references.push(found);
  });
  if (kind !== 'completion' && kind !== 'messages')
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'exact matches need prompts with their answers', {
      op: 'metrics',
      expected: 'records of prompt and completion, or of messages',
      received: `records of the kind ${kind}`,
    });
  return references;
}

function referenceOf({ ids, counts }: EncodedRecord): Reference | undefined {
  const end = counts.lastIndexOf(1) + 1;
  if (end === 0) return undefined;
  const start = counts.lastIndexOf(0, end - 1) + 1; // the first token never counts
  return { prompt: [...ids.subarray(0, start)], answer: [...ids.subarray(start, end)] };
}

/** Control tokens that answers end with, such as that of a turn: there a text that is written ends, too. */
export const answerEnds = (references: readonly Reference[], tokenizer: Tokenizer): readonly number[] =>
  [...new Set(references.map(({ answer }) => answer.at(-1)!))].filter(
    (id) => tokenizer.controlText(id) !== undefined,
  );
