import { InvalidArgumentError, type Command } from 'commander';
import { recordFormats, recordKinds } from '../data/records/index.js';
import type { RecordsOptions } from '../data/records/index.js';
import { choice, positiveInteger } from './options.js';

const separators = { comma: ',', tab: '\t', semicolon: ';', bar: '|' } as const;

/** Flags that say what records are and how they become tokens, as commander gives them. */
export interface RecordFlags extends Pick<
  RecordsOptions,
  | 'kind'
  | 'format'
  | 'textField'
  | 'classes'
  | 'regression'
  | 'truncate'
  | 'splitSpecialTokens'
  | 'addBos'
  | 'addEos'
> {
  readonly separator?: keyof typeof separators;
}

/** Adds them to a command. */
export function addRecordFlags(command: Command): Command {
  return command
    .addOption(choice('--kind <kind>', 'what the records are (default: told by their fields)', recordKinds))
    .addOption(choice('--format <format>', 'what the file is (default: told by its content)', recordFormats))
    .addOption(choice('--separator <name>', 'between the fields of CSV', Object.keys(separators)))
    .option('--text-field <key>', 'key of the text (default: text)')
    .option('--classes <names>', 'how many classes there are, or their names: a,b,c', classes)
    .option('--regression', 'a label is a number that is to be predicted, and not a class')
    .option('--truncate', 'leave out the end of longer records')
    .option('--no-split-special-tokens', 'what reads as a control token in a record is one')
    .option('--add-bos', 'put a start token in front (default: as the tokenizer or the template has it)')
    .option('--no-add-bos', 'put none in front')
    .option('--no-add-eos', 'put no end of text behind texts and completions');
}

/** The options that the flags stand for. */
export function recordOptions(flags: RecordFlags): Omit<RecordsOptions, 'files'> {
  const { kind, format, textField, classes: named, regression, truncate } = flags;
  const { splitSpecialTokens, addBos, addEos } = flags;
  const separator = flags.separator && separators[flags.separator];
  const labels = { classes: named, regression };
  return { kind, format, separator, textField, ...labels, truncate, splitSpecialTokens, addBos, addEos };
}

function classes(text: string): number | readonly string[] {
  if (/^\d+$/.test(text)) return positiveInteger(text);
  const names = text.split(',');
  if (names.includes('')) throw new InvalidArgumentError('expected a number, or names parted by commas');
  return names;
}
