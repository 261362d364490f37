import { Command, CommanderError } from 'commander';
import type { CommandContext } from './command-context.js';
import { fromCommander, printError } from './error-message.js';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.js';
import { packageVersion } from './package-info.js';
import { surviveOutputErrors, Terminal } from './terminal.js';
import { formatHelpItem } from './text-layout.js';

/** Runs one command line of the program that `create` makes; every outcome is an exit code. */
export async function runProgram(
  args: readonly string[],
  create: (context: CommandContext) => Command,
): Promise<ExitCode> {
  const isGiven = (...flags: string[]): boolean => flags.some((flag) => args.includes(flag));
  // Known before parsing, because complaints about the arguments follow them too.
  const terminal = new Terminal({ json: isGiven('--json'), quiet: isGiven('--quiet', '-q') });
  let code: ExitCode = exitCodes.done;
  const program = create({ terminal, args, finish: (result) => (code = result) });
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

/** A program without commands yet: options of all of them, and how help and mistakes are shown. */
export const emptyProgram = (name: string, terminal: Terminal): Command =>
  new Command(name)
    .version(packageVersion)
    .option('--json', 'results for programs: JSON on standard output, and nothing else there')
    .option('-q, --quiet', 'no output but errors (and JSON, when asked for)')
    .exitOverride()
    .configureOutput({
      outputError: () => {}, // printed by runProgram, once
      getOutHasColors: () => terminal.hasColours,
      getErrHasColors: () => terminal.hasColours,
    })
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => terminal.style('bold', title),
      formatItem: formatHelpItem,
    });

/** The words that name the command of a line, e.g. 'compact-train bench memory'. */
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
