import type { Command } from 'commander';
import { Sampler } from '../../train/index.js';
import { formatRate } from '../format.js';
import {
  addGenerationFlags,
  modelArgument,
  splitGenerationFlags,
  type GenerationFlags,
} from '../generation-flags.js';
import { onInterrupt } from '../interrupt.js';
import type { Terminal } from '../terminal.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => 'The text appears as it is written. Equal seeds give equal text.',
  examples: [
    ['compact-train sample runs/quickstart -p "Fellow citizens"'],
    ['compact-train sample runs/quickstart/checkpoint-300 --temperature 0.7 --top-p 0.9 -n 200'],
    ['compact-train sample downloads/my-llama -p "The " --temperature 0 --stop "." --json'],
  ],
} as const;

interface SampleFlags extends GenerationFlags {
  readonly prompt?: string;
}

export function registerSample(program: Command, terminal: Terminal): void {
  const command = program
    .command('sample')
    .summary('let a model write')
    .description('Writes text with a trained model.')
    .argument(...modelArgument)
    .option('-p, --prompt <text>', 'text to go on from')
    .action((model: string, flags: SampleFlags) => sample(model, flags, terminal));
  addGenerationFlags(command, 128);
  addHelpAfter(command, help);
}

async function sample(model: string, flags: SampleFlags, terminal: Terminal): Promise<void> {
  const { sampler: options, text } = splitGenerationFlags(flags);
  await using sampler = await Sampler.open({ checkpoint: model, ...options });
  using interrupt = onInterrupt(() => {}); // until here nothing can be lost
  const write = (piece: string): void => terminal.write(piece);
  write(terminal.style('dim', text.prompt ?? ''));
  const report = await sampler.sample({ ...text, signal: interrupt.signal, onText: write });
  terminal.object({ type: 'sample', checkpoint: sampler.checkpoint, step: sampler.step, ...report });
  const { numTokens, tokensPerSecond, finishReason } = report;
  const full = finishReason === 'contextLength' ? ', the context is full' : '';
  terminal.line(`\n${terminal.style('dim', `${numTokens} tokens, ${formatRate(tokensPerSecond)}${full}`)}`);
}
