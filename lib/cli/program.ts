import type { Command } from 'commander';
import { registerBench } from './bench/index.js';
import { registerChat } from './commands/chat.js';
import { registerConvert } from './commands/convert.js';
import { registerData } from './commands/data.js';
import { registerEvaluate } from './commands/evaluate.js';
import { registerFinetune } from './commands/finetune.js';
import { registerInspect } from './commands/inspect.js';
import { registerLs } from './commands/ls.js';
import { registerMerge } from './commands/merge.js';
import { registerMethods } from './commands/methods.js';
import { registerPlan } from './commands/plan.js';
import { registerSample } from './commands/sample.js';
import { registerServe } from './commands/serve.js';
import { registerTrain } from './commands/train.js';
import type { CommandContext } from './command-context.js';
import type { ExitCode } from './exit-codes.js';
import { emptyProgram, runProgram } from './run-program.js';
import { addHelpAfter } from './text-layout.js';

const help = {
  prose: () => `
Exit codes:
  0    done
  1    failed: the machine or the program
  2    wrong usage or input: nothing was started, nothing was written
  3    does not fit in the given memory
  130  interrupted: what was running was saved

Environment: NO_COLOR and FORCE_COLOR are honoured.`,
  examples: [
    ['compact-train plan -m llama-1b --memory-limit 24GiB', 'what fits, by method'],
    ['compact-train train quickstart', 'train a small model on real text'],
    ['compact-train train recipe.yaml -b 16 --set evalSteps=100', 'the same words as in the recipe'],
    ['compact-train finetune downloads/my-llama -d chats.jsonl -o runs/mine', 'train a model further'],
    ['compact-train sample runs/quickstart -p "Fellow citizens"', 'let it write'],
    ['compact-train ls runs/quickstart', 'its checkpoints'],
  ],
} as const;

/** Runs one command line; every outcome is an exit code. */
export const main = (args: readonly string[]): Promise<ExitCode> => runProgram(args, createProgram);

/** All commands with their flags and help. */
export function createProgram(context: CommandContext): Command {
  const { terminal } = context;
  const program = emptyProgram('compact-train', terminal).description(
    'Train transformers in far less memory, planned to the byte.',
  );
  addHelpAfter(program, help);
  registerPlan(program, context);
  registerTrain(program, context);
  registerFinetune(program, context);
  registerData(program, terminal);
  registerEvaluate(program, terminal);
  registerServe(program, context);
  registerSample(program, terminal);
  registerChat(program, terminal);
  registerConvert(program, terminal);
  registerMerge(program, terminal);
  registerLs(program, terminal);
  registerMethods(program, terminal);
  registerInspect(program, terminal);
  registerBench(program, terminal);
  return program;
}
