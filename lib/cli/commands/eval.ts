import type { Command } from 'commander';
import { evaluateCheckpoint } from '../../train/index.js';
import { formatDuration } from '../format.js';
import { onInterrupt } from '../interrupt.js';
import { byteCount, positiveInteger } from '../options.js';
import type { Terminal } from '../terminal.js';
import { tokenizeProgress } from '../tokenize-progress.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
Loss is the mean cross-entropy in nats per token, perplexity its exponential. Both depend on the tokenizer: compare
checkpoints that share one.`,
  examples: [
    ['compact-train eval runs/quickstart -d held-out.txt'],
    ['compact-train eval runs/quickstart/checkpoint-300 -d texts/ --json'],
  ],
} as const;

interface EvalFlags {
  readonly data: readonly string[];
  readonly textField?: string;
  readonly batchSize?: number;
  readonly sequenceLength?: number;
  readonly evalSequences?: number;
  readonly threads?: number;
  readonly device?: string;
  readonly memoryLimit?: number;
}

export function registerEval(program: Command, terminal: Terminal): void {
  const command = program
    .command('eval')
    .summary('loss and perplexity of a text under a checkpoint')
    .description('Measures how well a trained model predicts a text.')
    .argument('<checkpoint>', 'a checkpoint, or an output folder: its latest')
    .requiredOption('-d, --data <path...>', 'text: files, folders, or a packaged corpus')
    .option('--text-field <key>', 'key of the text in JSON lines (default: text)')
    .option('-b, --batch-size <sequences>', 'sequences at a time (default: 8)', positiveInteger)
    .option(
      '-s, --sequence-length <tokens>',
      'tokens of a sequence (default: as it was trained)',
      positiveInteger,
    )
    .option('--eval-sequences <count>', 'sequences to read at most (default: all)', positiveInteger)
    .option('-t, --threads <count>', 'CPU threads', positiveInteger)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto')
    .option('--memory-limit <bytes>', 'refuse what needs more, e.g. 8GiB', byteCount)
    .action((checkpoint: string, flags: EvalFlags) => evaluate(checkpoint, flags, terminal));
  addHelpAfter(command, help);
}

async function evaluate(checkpoint: string, flags: EvalFlags, terminal: Terminal): Promise<void> {
  const { memoryLimit: memoryLimitBytes, ...options } = flags;
  using interrupt = onInterrupt(() => {});
  const { signal } = interrupt;
  const onTokenize = tokenizeProgress(terminal);
  const report = await evaluateCheckpoint({ checkpoint, ...options, memoryLimitBytes, onTokenize, signal });
  for (const warning of report.warnings) terminal.warn(warning);
  terminal.object({ type: 'evaluation', ...report });
  const { loss, perplexity, numTokens, durationMs } = report;
  terminal.prose(
    `${terminal.style('bold', `loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)}`)} over ` +
      `${numTokens.toLocaleString('en')} tokens in ${formatDuration(durationMs / 1000)}`,
  );
  terminal.line(terminal.style('dim', report.checkpoint));
}
