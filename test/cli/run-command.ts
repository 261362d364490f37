import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');
const mainFile = join(root, 'dist', 'cli', 'main.js');

export interface CommandOutcome {
  readonly code: number | null;
  /** What ended the process, where it did not end itself. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Called with each piece of standard output as it comes. */
  readonly onOutput?: (text: string, child: ChildProcess) => void;
  readonly onStart?: (child: ChildProcess) => void;
  /** A file descriptor for standard output, instead of a pipe. */
  readonly stdout?: number;
  /** Of a terminal. Default 120. */
  readonly columns?: number;
}

/** Runs the built command line as a user's shell would, with pipes. */
export function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> {
  return collect(process.execPath, [mainFile, ...args], options);
}

/** Runs a benchmark that is in no package. */
export function runBench(args: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> {
  return collect(process.execPath, [join(root, 'scripts', 'bench'), ...args], options);
}

/** `runCommand` on a terminal of its own (the `script` program makes one). */
export function runOnTerminal(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandOutcome> {
  const line = [process.execPath, mainFile, ...args].map((word) => `'${word}'`).join(' ');
  return collect('script', ['-qec', `stty cols ${options.columns ?? 120}; ${line}`, '/dev/null'], options);
}

export const hasTerminalProgram = existsSync('/usr/bin/script');

function collect(program: string, args: readonly string[], options: CommandOptions): Promise<CommandOutcome> {
  if (!existsSync(mainFile)) throw new Error('dist/ is missing: run npm run build');
  const { NO_COLOR: _, FORCE_COLOR: __, npm_command: ___, ...env } = process.env;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...env, TERM: 'xterm', ...options.env },
    stdio: ['pipe', options.stdout ?? 'pipe', 'pipe'],
  });
  options.onStart?.(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    options.onOutput?.(text, child);
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
