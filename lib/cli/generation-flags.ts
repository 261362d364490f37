import type { Command } from 'commander';
import type { SampleOptions, SamplerOptions } from '../train/index.js';
import { numberFromZero, positiveInteger, ratio, wholeNumber } from './options.js';

/** Flags of every command that lets a model write. */
export interface GenerationFlags
  extends
    Pick<SampleOptions, 'maxNewTokens' | 'temperature' | 'topK' | 'topP' | 'seed' | 'stop'>,
    Pick<SamplerOptions, 'tokenizer' | 'contextLength' | 'device' | 'threads'> {}

/** What the flags say of the sampler, and what of the text. */
export function splitGenerationFlags<F extends GenerationFlags>(flags: F) {
  const { tokenizer, contextLength, device, threads, ...text } = flags;
  return { sampler: { tokenizer, contextLength, device, threads }, text };
}

export const modelArgument = [
  '<model>',
  "a checkpoint; an output folder: its latest; or a folder in Hugging Face's layout",
] as const;

export const addGenerationFlags = (command: Command, maxNewTokens: number): Command =>
  command
    .option('-n, --max-new-tokens <count>', 'tokens to write at most', positiveInteger, maxNewTokens)
    .option('--temperature <number>', '0 takes the likeliest token each time', numberFromZero, 1)
    .option('--top-k <count>', 'choose among the k likeliest tokens; 0: all', wholeNumber, 0)
    .option('--top-p <share>', 'choose among the likeliest tokens of this joint probability', ratio, 1)
    .option('--seed <number>', 'of the choices', wholeNumber, 42)
    .option('--stop <text...>', 'end where one of these texts comes')
    .option(
      '--context-length <tokens>',
      'tokens of prompt and text at most (default: as it was trained, else 2048)',
      positiveInteger,
    )
    .option('--tokenizer <path>', "'bytes', a tokenizer.json or its folder (default: that of the model)")
    .option('-t, --threads <count>', 'CPU threads', positiveInteger)
    .option('--device <device>', 'cpu, cuda, cuda:N or auto');
