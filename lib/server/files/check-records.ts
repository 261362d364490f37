import { readExamples } from '../../data/records/kinds/index.js';
import type { RecordKind } from '../../data/records/index.js';
import { readRecords } from '../../data/records/readers/index.js';
import { isCompactError } from '../../errors.js';
import { ApiError } from '../api-error.js';

/** What a file of records holds. */
export interface CheckedRecords {
  readonly kind: RecordKind;
  readonly numRecords: number;
}

/**
 * Reads all of a file of JSON lines, so that what is wrong with it is known before any job asks for it. What labels mean a
 * job says, which is refused when they are others.
 * @param name as the client calls the file
 * @throws ApiError invalid_file_format with the line
 */
export async function checkRecords(path: string, name: string): Promise<CheckedRecords> {
  let kind: RecordKind | undefined;
  let numRecords = 0;
  try {
    const records = readRecords(path, { format: 'jsonl' });
    const examples = readExamples(records, { textField: 'text', isMeaningOpen: true });
    for await (const { example } of examples) {
      kind ??= example.kind;
      numRecords++;
    }
  } catch (error) {
    if (!isCompactError(error)) throw error;
    throw new ApiError('invalid_file_format', error.message.replaceAll(path, name), {
      param: 'file',
      details: error.details,
      cause: error,
    });
  }
  if (kind === undefined)
    throw new ApiError('invalid_file_format', `${name} holds no records`, { param: 'file' });
  return { kind, numRecords };
}
