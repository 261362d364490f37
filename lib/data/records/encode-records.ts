import { compactError } from '../../errors.js';
import { checkOptions } from '../../options.js';
import { byteTokenizer } from '../byte-tokenizer.js';
import { loadTokenizer } from '../tokenizer.js';
import type { Tokenizer } from '../types.js';
import type { EncodedRecord } from './encode/encoded-record.js';
import { ExampleEncoder } from './encode/encode-example.js';
import type { EncodeChoices } from './encode/encode-example.js';
import { readExamples } from './kinds/index.js';
import type { KindOptions, RecordKind } from './kinds/index.js';
import { readRecords } from './readers/index.js';
import type { DataRecord, ReadOptions } from './readers/index.js';
import { recordsTable } from './records-table.js';
import type { RecordsOptions } from './records-table.js';
import { StatisticsCounter } from './statistics.js';
import type { RecordStatistics } from './statistics.js';
import { ChatTemplate } from './templates/chat-template.js';

/** Records of files on their way to tokens. */
export interface RecordEncoder {
  readonly tokenizer: Tokenizer;
  /**
   * Reads, checks and encodes all records in their order, and gives what they hold together.
   * @param onRecord told each record as it comes, and waited for
   * @throws ERR_COMPACT_DATA_READ, ERR_COMPACT_DATA_BINARY, ERR_COMPACT_DATA_FORMAT, ERR_COMPACT_DATA_RECORD,
   *   ERR_COMPACT_DATA_EMPTY, ERR_COMPACT_CHAT_TEMPLATE, ERR_COMPACT_TOKENIZER, each with the line, item or row
   */
  encodeAll(onRecord: (record: EncodedRecord) => void | Promise<void>): Promise<RecordStatistics>;
}

/**
 * Loads the tokenizer and the chat template that records are encoded with.
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE
 */
export async function openRecords(given: RecordsOptions): Promise<RecordEncoder> {
  const options = checkOptions(given, recordsTable, { what: 'records' });
  const files = [options.files].flat();
  if (options.regression === true && options.classes !== undefined)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'classes and regression exclude each other', {
      op: 'regression',
      expected: 'labels that are classes, or labels that are numbers',
      received: 'both: classes and regression',
      remedy: 'Leave one of them out',
      details: { excluded: ['classes', 'regression'] },
    });
  const { tokenizer, encoder } = await openEncoder(options);
  return {
    tokenizer,
    async encodeAll(onRecord) {
      const counter = new StatisticsCounter(tokenizer);
      let kind: RecordKind | undefined;
      for await (const placed of readExamples(readAll(files, options), options, options.kind)) {
        kind = placed.example.kind;
        const record = encoder.encode(placed);
        counter.add(record);
        await onRecord(record);
      }
      if (kind === undefined)
        throw compactError('ERR_COMPACT_DATA_EMPTY', `${files.join(', ')}: no records`, {
          op: 'data',
          expected: 'at least one record',
        });
      return counter.statistics(kind);
    },
  };
}

async function openEncoder(
  options: EncodeChoices & { readonly tokenizer: string },
): Promise<{ readonly tokenizer: Tokenizer; readonly encoder: ExampleEncoder }> {
  const tokenizer = await loadTokenizer(options.tokenizer);
  const template = tokenizer === byteTokenizer ? undefined : await ChatTemplate.load(options.tokenizer);
  return { tokenizer, encoder: new ExampleEncoder(tokenizer, template, options) };
}

/**
 * Encodes records that are at hand, all of one kind, as those of a file are.
 * @throws ERR_COMPACT_DATA_RECORD, ERR_COMPACT_TOKENIZER, ERR_COMPACT_CHAT_TEMPLATE, each with the number of the record
 */
export async function encodeRecords(
  records: readonly Readonly<Record<string, unknown>>[],
  options: EncodeChoices & KindOptions & { readonly tokenizer: string },
): Promise<readonly EncodedRecord[]> {
  const { encoder } = await openEncoder(options);
  const placed = async function* (): AsyncGenerator<DataRecord> {
    for (const [index, fields] of records.entries())
      yield { place: { path: 'records', unit: 'item', number: index + 1 }, fields };
  };
  const encoded: EncodedRecord[] = [];
  for await (const example of readExamples(placed(), options)) encoded.push(encoder.encode(example));
  return encoded;
}

async function* readAll(files: readonly string[], options: ReadOptions): AsyncGenerator<DataRecord> {
  for (const file of files) yield* readRecords(file, options);
}
