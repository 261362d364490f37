import type { Command } from 'commander';
import { Sampler, type SampleOptions } from '../../train/index.js';
import { formatRate } from '../format.js';
import { onInterrupt } from '../interrupt.js';
import { numberFromZero, positiveInteger, ratio, wholeNumber } from '../options.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => 'The text appears as it is written. Equal seeds give equal text.',
  examples: [
    ['compact-train sample runs/quickstart -p "Fellow citizens"'],
    ['compact-train sample runs/quickstart/checkpoint-300 --temperature 0.7 --top-p 0.9 -n 400'],
    ['compact-train sample runs/quickstart -p "The " --temperature 0 --json'],
  ],
} as const;

interface SampleFlags extends Omit<SampleOptions, 'signal' | 'onText'> {
  readonly device?: string;
  readonly threads?: number;
}

export function registerSample(program: Command, terminal: Terminal): void {
  const command = program
    .command('sample')
    .summary('let a checkpoint write')
    .description('Writes text with a trained model.')
    .argument('<checkpoint>', 'a checkpoint, or an output folder: its latest')
    .option('-p, --prompt <text>', 'text to go on from')
    .option('-n, --max-new-tokens <count>', 'tokens to write at most', positiveInteger, 128)
    .option('--temperature <number>', '0 takes the likeliest token each time', numberFromZero, 1)
    .option('--top-k <count>', 'choose among the k likeliest tokens; 0: all', wholeNumber, 0)
    .option('--top-p <share>', 'choose among the likeliest tokens of this joint probability', ratio, 1)
    .option('--seed <number>', 'of the choices', wholeNumber, 42)
    .option('-t, --threads <count>', 'CPU threads', positiveInteger)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto')
    .action((checkpoint: string, flags: SampleFlags) => sample(checkpoint, flags, terminal));
  addHelpAfter(command, help);
}

async function sample(checkpoint: string, flags: SampleFlags, terminal: Terminal): Promise<void> {
  const { device, threads, ...options } = flags;
  await using sampler = await Sampler.open({ checkpoint, device, threads });
  using interrupt = onInterrupt(() => {}); // until here nothing can be lost
  const write = (text: string): void => terminal.write(text);
  write(terminal.style('dim', options.prompt ?? ''));
  const report = await sampler.sample({ ...options, signal: interrupt.signal, onText: write });
  terminal.object({ type: 'sample', checkpoint: sampler.checkpoint, step: sampler.step, ...report });
  terminal.line(
    `\n${terminal.style('dim', `${report.numTokens} tokens, ${formatRate(report.tokensPerSecond)}`)}`,
  );
}
