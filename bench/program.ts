import type { Command } from 'commander';
import type { CommandContext } from '../lib/cli/command-context.js';
import type { ExitCode } from '../lib/cli/exit-codes.js';
import { emptyProgram, runProgram } from '../lib/cli/run-program.js';
import { registerCellBench } from './commands/cell.js';
import { registerFinetuneBench } from './commands/finetune.js';
import { registerGenerationBench } from './commands/generation.js';
import { registerKernelsBench } from './commands/kernels.js';
import { registerLoadBench } from './commands/load.js';
import { registerLossesBench } from './commands/losses.js';
import { registerServerBench } from './commands/server.js';
import { registerTokenizeBench } from './commands/tokenize.js';
import { registerTokenizerParity } from './commands/tokenizer-parity.js';

/** Runs one command line of `scripts/bench`. */
export const main = (args: readonly string[]): Promise<ExitCode> => runProgram(args, createProgram);

/** Benchmarks for work on this repository; those for users are `compact-train bench`. */
export function createProgram({ terminal }: CommandContext): Command {
  const program = emptyProgram('scripts/bench', terminal).description(
    'Benchmarks for work on this repository. Those of `compact-train bench` come with the package.',
  );
  registerKernelsBench(program, terminal);
  registerGenerationBench(program, terminal);
  registerFinetuneBench(program, terminal);
  registerCellBench(program, terminal);
  registerLossesBench(program, terminal);
  registerLoadBench(program, terminal);
  registerServerBench(program, terminal);
  registerTokenizeBench(program, terminal);
  registerTokenizerParity(program, terminal);
  return program;
}
