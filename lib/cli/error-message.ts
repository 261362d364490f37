import type { CommanderError } from 'commander';
import { compactError, isCompactError, type CompactError } from '../errors.js';
import type { Terminal } from './terminal.js';

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
  const suggestion = rest.join(' ').match(/Did you mean (?:one of )?(.*)\?/)?.[1];
  const remedy = suggestion === undefined ? `See ${usage} --help` : `Did you mean ${suggestion}?`;
  return compactError('ERR_COMPACT_ARGUMENT', first, { remedy });
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
  const { code, what, expected, received, remedy } = error;
  const lines = [`${title}: ${what} ${terminal.style('dim', `(${code})`)}`];
  if (expected !== undefined) lines.push(`  expected  ${expected}`);
  if (received !== undefined) lines.push(`  received  ${received}`);
  if (remedy !== undefined) lines.push(`  remedy    ${remedy.split('\n').join(`\n            `)}`);
  return lines.join('\n');
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
