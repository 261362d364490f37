import { Command, CommanderError } from 'commander';
import { registerBench } from './bench/index.js';
import { registerEval } from './commands/eval.js';
import { registerInspect } from './commands/inspect.js';
import { registerLs } from './commands/ls.js';
import { registerMethods } from './commands/methods.js';
import { registerPlan } from './commands/plan.js';
import { registerSample } from './commands/sample.js';
import { registerTrain } from './commands/train.js';
import type { CommandContext } from './command-context.js';
import { fromCommander, printError } from './error-message.js';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.js';
import { surviveOutputErrors, Terminal } from './terminal.js';
import { packageVersion } from './package-info.js';
import { addHelpAfter, formatHelpItem } from './text-layout.js';

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
    ['compact-train sample runs/quickstart -p "Fellow citizens"', 'let it write'],
    ['compact-train ls runs/quickstart', 'its checkpoints'],
  ],
} as const;

/** Runs one command line; every outcome is an exit code. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  const isGiven = (...flags: string[]): boolean => flags.some((flag) => args.includes(flag));
  // Known before parsing, because complaints about the arguments follow them too.
  const terminal = new Terminal({ json: isGiven('--json'), quiet: isGiven('--quiet', '-q') });
  let code: ExitCode = exitCodes.done;
  const program = createProgram({ terminal, args, finish: (result) => (code = result) });
  surviveOutputErrors((reason) => {
    process.stderr.write(`standard output cannot be written (${reason}): nothing more is printed\n`);
    // What a run trained stands in its folder; every other command has printed its result, or failed.
    if (nameOfCommand(program, args) !== 'compact-train train')
      process.once('exit', () => (process.exitCode ||= exitCodes.failed));
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done; // --help, --version
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCodes.usage; // was printed
    const known =
      error instanceof CommanderError ? fromCommander(error, nameOfCommand(program, args)) : error;
    terminal.clearStatus();
    printError(terminal, known);
    return exitCodeOf(known);
  }
}

/** All commands with their flags and help. */
export function createProgram(context: CommandContext): Command {
  const { terminal } = context;
  const program = new Command('compact-train')
    .description('Train transformers in far less memory, planned to the byte.')
    .version(packageVersion)
    .option('--json', 'results for programs: JSON on standard output, and nothing else there')
    .option('-q, --quiet', 'no output but errors (and JSON, when asked for)')
    .exitOverride()
    .configureOutput({
      outputError: () => {}, // printed by main, once
      getOutHasColors: () => terminal.hasColours,
      getErrHasColors: () => terminal.hasColours,
    })
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => terminal.style('bold', title),
      formatItem: formatHelpItem,
    });
  addHelpAfter(program, help);
  registerPlan(program, context);
  registerTrain(program, context);
  registerEval(program, terminal);
  registerSample(program, terminal);
  registerLs(program, terminal);
  registerMethods(program, terminal);
  registerInspect(program, terminal);
  registerBench(program, terminal);
  return program;
}

/** The words that name the command of a line, e.g. 'compact-train bench kernels'. */
function nameOfCommand(program: Command, args: readonly string[]): string {
  const names = [program.name()];
  let command: Command | undefined = program;
  for (const word of args) {
    command = command.commands.find((candidate) => candidate.name() === word);
    if (command === undefined) break;
    names.push(word);
  }
  return names.join(' ');
}
