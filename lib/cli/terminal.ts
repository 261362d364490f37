import { styleText } from 'node:util';

export interface TerminalOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/**
 * Where a command writes. Results go to standard output, for people as text or for programs as JSON, never both;
 * errors go to standard error. A reader that goes away (`| head`) mutes the output and does not end the work.
 */
export class Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Whether text is styled: on a terminal, unless the environment says otherwise. */
  readonly hasColours: boolean;

  constructor(options: TerminalOptions = {}) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.hasColours = wantsColours();
  }

  /** Whether a progress bar can be drawn: a person is watching. */
  get isInteractive(): boolean {
    return process.stdout.isTTY && !this.json && !this.quiet;
  }

  /** Width of the screen in columns; lines for pipes may be long. */
  get columns(): number {
    return process.stdout.isTTY ? process.stdout.columns : 160;
  }

  /** One line for people. */
  line(text = ''): void {
    this.write(`${text}\n`);
  }

  /** Text for people, as it is. */
  write(text: string): void {
    if (!this.json && !this.quiet) process.stdout.write(text);
  }

  /** One object for programs, on a line of its own. */
  object(value: object): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** What happened, for people, beside the result. */
  warn(text: string): void {
    if (!this.quiet && !this.json) process.stderr.write(`${this.style('yellow', text)}\n`);
  }

  style(style: Style, text: string): string {
    // Whether to colour is decided here, not by Node's own look at the environment.
    return this.hasColours ? styleText(style, text, { validateStream: false }) : text;
  }
}

function wantsColours(): boolean {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: term } = process.env;
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (no !== undefined && no !== '') return false;
  return process.stdout.isTTY && term !== 'dumb';
}

/** Standard streams outlive their readers: later writes are dropped, the work goes on. */
export function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      stream.write = () => true;
    });
  }
}
