import type { Command } from 'commander';
import { openRecords, sidesOf } from '../../data/records/index.js';
import type { EncodedRecord, MarkedTokens, RecordStatistics } from '../../data/records/index.js';
import { listCheckpoints } from '../../train/index.js';
import { markedText } from '../marked-text.js';
import { positiveInteger, wholeNumber } from '../options.js';
import { addRecordFlags, recordOptions, type RecordFlags } from '../record-flags.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
What is learnt is green, where there are no colours between ⟦ and ⟧: of messages what the assistant says, of a prompt with
its completion the completion, of a text all of it, of a preference pair both answers. All records are read and checked, and the first of them shown.

Kinds are told by the fields of the first record: messages; prompt and completion; chosen and rejected; text with label or
labels; text.`,
  examples: [
    ['compact-train data preview chats.jsonl -m models/llama', 'what of them is learnt'],
    ['compact-train data preview pairs.csv -m models/llama --context-length 2048 --truncate'],
    ['compact-train data preview chats.jsonl -m models/llama --json --limit 1', 'ids and mask'],
  ],
} as const;

interface PreviewFlags extends RecordFlags {
  readonly model: string;
  readonly limit: number;
  readonly contextLength?: number;
}

export function registerData(program: Command, terminal: Terminal): void {
  const data = program
    .command('data')
    .summary('look at fine-tuning data before it is trained on')
    .description('What records of fine-tuning data are for a model.');
  const preview = data
    .command('preview')
    .summary('which tokens of each record are learnt')
    .description(
      'Reads and checks all records of a file, and shows which tokens of the first ones are learnt.',
    )
    .argument('<file>', 'JSON lines, a JSON array, CSV or parquet, also compressed by gzip')
    .requiredOption(
      '-m, --model <folder>',
      'folder of the tokenizer and the chat template, an output folder: its latest checkpoint, or bytes',
    )
    .option('--limit <count>', 'records to show', wholeNumber, 5)
    .option('--context-length <tokens>', 'refuse longer records', positiveInteger)
    .action((file: string, flags: PreviewFlags) => showPreview(file, flags, terminal));
  addRecordFlags(preview);
  addHelpAfter(data, { examples: help.examples.slice(0, 1) });
  addHelpAfter(preview, help);
}

async function showPreview(file: string, flags: PreviewFlags, terminal: Terminal): Promise<void> {
  const { model, limit, contextLength } = flags;
  const options = { ...recordOptions(flags), contextLength };
  const tokenizer = (await listCheckpoints(model)).at(-1)?.path ?? model;
  const encoder = await openRecords({ ...options, files: file, tokenizer });
  let numShown = 0;
  const statistics = await encoder.encodeAll((record) => {
    if (numShown++ >= limit) return;
    const { place, rejected, labels, isTruncated } = record;
    const listed = ({ ids, counts }: MarkedTokens) => ({ ids: Array.from(ids), counts: Array.from(counts) });
    terminal.object({
      type: 'record',
      ...place,
      ...listed(record),
      rejected: rejected && listed(rejected),
      labels,
      isTruncated,
    });
    for (const [i, { ids, counts }] of sidesOf(record).entries()) {
      const side = rejected && (i === 0 ? 'chosen' : 'rejected');
      terminal.line(headOf(terminal, { ...record, ids, counts }, side));
      terminal.line(markedText(terminal, encoder.tokenizer, ids, counts));
      terminal.line();
    }
  });
  terminal.object({ type: 'statistics', ...statistics });
  terminal.prose(describe(statistics));
  for (const warning of statistics.warnings) terminal.warn(warning);
}

function headOf(
  terminal: Terminal,
  { place, ids, counts, labels, isTruncated }: EncodedRecord,
  side: 'chosen' | 'rejected' | undefined,
): string {
  const facts = [
    `${ids.length} tokens`,
    ...(labels === undefined ? [`${countOf(counts)} learnt`] : [`labels ${labels.join(', ') || 'none'}`]),
    ...(isTruncated ? ['without its end'] : []),
  ];
  const name = [`${place.unit} ${place.number}`, ...(side === undefined ? [] : [side])].join(', ');
  return `${terminal.style('bold', name)} ${terminal.style('dim', facts.join(', '))}`;
}

const countOf = (counts: Uint8Array): number => counts.reduce((sum, count) => sum + count, 0);

function describe(statistics: RecordStatistics): string {
  const { kind, numRecords, numTokens, numCountedTokens, longest, numTruncated } = statistics;
  const number = (value: number): string => value.toLocaleString('en');
  const share = numTokens === 0 ? 0 : (100 * numCountedTokens) / numTokens;
  return (
    `${number(numRecords)} records (${kind}), ${number(numTokens)} tokens, ${number(numCountedTokens)} of them learnt ` +
    `(${share.toFixed(1)} %); the longest has ${number(longest)}, ${number(numTruncated)} lost their end.`
  );
}
