import type { CommanderError } from 'commander';
import { compactError, isCompactError, nearestName, type CompactError } from '../errors.js';
import { screenColumns, type Terminal } from './terminal.js';
import { wrapWords } from './text-layout.js';

/** What went wrong, what was expected and received, what to do: on standard error, or as one JSON object. */
export function printError(terminal: Terminal, error: unknown): void {
  if (terminal.json) {
    process.stdout.write(`${JSON.stringify({ type: 'error', ...errorObject(error) })}\n`);
    return;
  }
  process.stderr.write(`${errorText(terminal, error)}\n`);
}

/** A complaint of the argument parser in the words of our own errors. */
export function fromCommander(error: CommanderError, usage: string): CompactError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = rest.join(' ').match(/Did you mean (?:one of )?(.*)\?/)?.[1] ?? nearestChoice(first);
  const remedy = suggestion === undefined ? `See ${usage} --help` : `Did you mean ${suggestion}?`;
  return compactError('ERR_COMPACT_ARGUMENT', first, { remedy });
}

/** The choice that a wrong one is nearest to. */
function nearestChoice(complaint: string): string | undefined {
  const [, given, choices] =
    /argument (?:value )?'([^']*)' is invalid(?: for argument '.*')?\. Allowed choices are (.*)\.$/.exec(
      complaint,
    ) ?? [];
  return given === undefined ? undefined : nearestName(given, choices!.split(', '));
}

function errorObject(error: unknown): Record<string, unknown> {
  if (!isCompactError(error)) return { code: undefined, message: messageOf(error) };
  const { code, message, op, expected, received, remedy, device, details } = error;
  return { code, message, op, expected, received, remedy, device, details };
}

function errorText(terminal: Terminal, error: unknown): string {
  const title = terminal.style('red', 'error');
  if (!isCompactError(error)) {
    const stack = error instanceof Error && process.env['DEBUG'] !== undefined ? `\n${error.stack}` : '';
    return `${title}: ${messageOf(error)}${stack}`;
  }
  if (error.code === 'ERR_COMPACT_ABORTED') return terminal.style('yellow', error.message);
  const { code, what, expected, received, remedy } = error;
  const width = screenColumns(process.stderr);
  const lines = [wrapWords(`${what} ${terminal.style('dim', `(${code})`)}`, width, `${title}: `)];
  const part = (name: string, text: string | undefined): void => {
    for (const [i, line] of (text?.split('\n') ?? []).entries()) {
      const head = `  ${(i === 0 ? name : '').padEnd(8)}  `;
      // A command to copy stays in one piece: screens break lines without a trace, a new line would be one.
      lines.push(line.includes('compact-train ') ? head + line : wrapWords(line, width, head));
    }
  };
  part('expected', expected);
  part('received', received);
  part('remedy', remedy);
  return lines.join('\n');
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
