import * as v from 'valibot';
import { flag, namedText, oneOf, optional, path, wholeNumber, type OptionTable } from '../../options.js';
import { recordKinds, type RecordKind } from './kinds/index.js';
import { csvSeparators, recordFormats, type ReadOptions } from './readers/index.js';

/** Where records come from, and how they become tokens. */
export interface RecordsOptions extends ReadOptions {
  /** Files of JSON lines, JSON arrays, CSV or parquet, also compressed by gzip. */
  readonly files: string | readonly string[];
  /** 'bytes', a tokenizer.json, or a folder that holds one, with the chat template of the model. Default 'bytes'. */
  readonly tokenizer?: string;
  /** What the records are. Default: told by the fields of the first. */
  readonly kind?: RecordKind;
  /** Key of the text of text and of classified records. Default 'text'. */
  readonly textField?: string;
  /** How many classes there are, or their names in order: then a label may be a name, too. */
  readonly classes?: number | readonly string[];
  /** Whether a label is a number that is to be predicted, and not a class. Default: as the model has it, else false. */
  readonly regression?: boolean;
  /** Whether what reads as a control token in a record, e.g. `</s>`, is text like any other. Default true. */
  readonly splitSpecialTokens?: boolean;
  /**
   * Whether a start token is put in front of each record that begins with none. Default: as the tokenizer's files say;
   * conversations begin as their template has them begin.
   */
  readonly addBos?: boolean;
  /** Whether the end of text is put behind texts and completions that do not end with it. Default true. */
  readonly addEos?: boolean;
  /** Most tokens of a record. Default: any number. */
  readonly contextLength?: number;
  /** Whether a longer record loses its end, and is not refused. Default false. */
  readonly truncate?: boolean;
}

const expectedPaths = 'a path, or a list of paths';
const expectedClasses = 'a whole number from 1, or the names of the classes';

export const recordsTable = {
  files: v.union([path, v.pipe(v.array(path), v.nonEmpty(expectedPaths))], expectedPaths),
  format: optional(oneOf(recordFormats)),
  separator: optional(oneOf(csvSeparators)),
  tokenizer: optional(path, 'bytes'),
  kind: optional(oneOf(recordKinds)),
  textField: optional(namedText('a key'), 'text'),
  classes: optional(
    v.union(
      [wholeNumber(1, 2 ** 24), v.pipe(v.array(v.string()), v.nonEmpty(expectedClasses))],
      expectedClasses,
    ),
  ),
  regression: optional(flag),
  splitSpecialTokens: optional(flag, true),
  addBos: optional(flag),
  addEos: optional(flag, true),
  contextLength: optional(wholeNumber(1)),
  truncate: optional(flag, false),
} satisfies OptionTable<RecordsOptions>;
