import { Option, type Command } from 'commander';
import { evaluateModel, type EvaluateOptions } from '../../train/index.js';
import { formatDuration, formatEvaluation } from '../format.js';
import { onInterrupt } from '../interrupt.js';
import { modelArgument } from '../generation-flags.js';
import { byteCount, positiveInteger } from '../options.js';
import { addRecordFlags, recordOptions, type RecordFlags } from '../record-flags.js';
import type { Terminal } from '../terminal.js';
import { tokenizeProgress } from '../tokenize-progress.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
Loss is the mean cross-entropy in nats per token, perplexity its exponential. Both depend on the tokenizer: compare
models that share one. Of a model for classes loss is that of the classes, of one for a number the mean squared error.

Files of conversations, and of prompts with completions, are records: each is read by itself, and what counts is what is
learnt of it. Everything else is running text, also JSON lines of texts, unless --records says otherwise.`,
  examples: [
    ['compact-train evaluate runs/quickstart -d held-out.txt'],
    ['compact-train evaluate downloads/my-llama -d chats.jsonl --metrics accuracy --json'],
    [
      'compact-train evaluate downloads/my-llama -d gsm8k.jsonl --metrics exact-match --answer-after "####" -s 1024',
    ],
  ],
} as const;

const metricsByFlag = { accuracy: 'accuracy', 'exact-match': 'exactMatch' } as const;

interface EvaluateFlags extends RecordFlags {
  readonly data: readonly string[];
  readonly records?: boolean;
  readonly tokenizer?: string;
  readonly batchSize?: number;
  readonly sequenceLength?: number;
  readonly evalSequences?: number;
  readonly metrics?: readonly (keyof typeof metricsByFlag)[];
  readonly answerAfter?: string;
  readonly threads?: number;
  readonly device?: string;
  readonly memoryLimit?: number;
}

export function registerEvaluate(program: Command, terminal: Terminal): void {
  const command = program
    .command('evaluate')
    .summary('loss and perplexity of a text or of records under a model')
    .description('Measures how well a model predicts a text, or what is to be learnt of records.')
    .argument(...modelArgument)
    .requiredOption('-d, --data <path...>', 'text: files, folders, or a packaged corpus; or files of records')
    .option('--records', 'each text is a record of its own')
    .option('--tokenizer <path>', "'bytes', a tokenizer.json or its folder (default: that of the model)")
    .option('-b, --batch-size <sequences>', 'sequences at a time (default: 8)', positiveInteger)
    .option(
      '-s, --sequence-length <tokens>',
      'tokens of a sequence (default: of records the longest, of text as the model was trained)',
      positiveInteger,
    )
    .option('--eval-sequences <count>', 'sequences to read at most (default: all)', positiveInteger)
    .addOption(
      new Option(
        '--metrics <names...>',
        'of tokens beside the loss: the share of likeliest ones, of answers that the model writes itself (of labels all are told)',
      ).choices(Object.keys(metricsByFlag)),
    )
    .option(
      '--answer-after <mark>',
      'compare what follows the last of these marks, e.g. "####" (exact-match)',
    )
    .option('-t, --threads <count>', 'CPU threads', positiveInteger)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto')
    .option('--memory-limit <bytes>', 'refuse what needs more, e.g. 8GiB', byteCount);
  addRecordFlags(command);
  command.action((model: string, flags: EvaluateFlags) => evaluate(model, flags, terminal));
  addHelpAfter(command, help);
}

async function evaluate(model: string, flags: EvaluateFlags, terminal: Terminal): Promise<void> {
  const { batchSize, sequenceLength, evalSequences, threads, device } = flags;
  const { memoryLimit: memoryLimitBytes, metrics: asked = [], answerAfter } = flags;
  const options = {
    batchSize,
    sequenceLength,
    evalSequences,
    threads,
    device,
    memoryLimitBytes,
    answerAfter,
  };
  using interrupt = onInterrupt(() => {});
  const { signal } = interrupt;
  const onTokenize = tokenizeProgress(terminal);
  const data = dataOf(flags);
  const report = await evaluateModel({
    ...options,
    metrics: asked.map((name) => metricsByFlag[name]),
    model,
    data,
    onTokenize,
    signal,
  });
  for (const warning of report.warnings) terminal.warn(warning);
  terminal.object({ type: 'evaluation', ...report });
  const { perplexity, numTokens, durationMs } = report;
  terminal.prose(
    `${terminal.style('bold', formatEvaluation(report))} over ${numTokens.toLocaleString('en')} ` +
      `${perplexity === undefined ? 'labels' : 'tokens'} in ${formatDuration(durationMs / 1000)}`,
  );
  terminal.line(terminal.style('dim', report.model));
}

/** Records where they are asked for, or a flag is given that only they have; else the files tell. */
function dataOf({ data, records, tokenizer, ...flags }: EvaluateFlags): EvaluateOptions['data'] {
  const { textField, splitSpecialTokens, ...ofRecords } = recordOptions(flags);
  // Those that have a default are not asked for by it.
  const { addEos, ...asked } = ofRecords;
  const isAsked =
    records === true || addEos === false || Object.values(asked).some((value) => value !== undefined);
  const others = tokenizer === undefined ? {} : { tokenizer };
  if (isAsked) return { records: data, ...others, ...recordOptions(flags) };
  if (textField === undefined && tokenizer === undefined && splitSpecialTokens !== false) return data;
  return { train: data, ...others, textField, splitSpecialTokens };
}
