import { styleText } from 'node:util';
import { LiveLine } from './live-line.js';
import { wrapWords } from './text-layout.js';

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
  readonly #live = new LiveLine();

  constructor(options: TerminalOptions = {}) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.hasColours = wantsColours();
  }

  /** Whether a progress bar can be drawn: a person is watching. */
  get isInteractive(): boolean {
    return process.stdout.isTTY && !this.json && !this.quiet;
  }

  /** Width of the screen in columns; lines for pipes may be as long as they are. */
  get columns(): number {
    return screenColumns(process.stdout);
  }

  /** What is going on just now: the last line of the screen, where a person is watching. */
  status(text: string): void {
    if (this.isInteractive) this.#live.show(text);
  }

  /** Leaves the latest status on the screen, as a line like others. */
  endStatus(): void {
    this.#live.end();
  }

  /** Takes the status off the screen. */
  clearStatus(): void {
    this.#live.clear();
  }

  /** One line for people. */
  line(text = ''): void {
    this.write(`${text}\n`);
  }

  /** A paragraph for people, broken between words, behind a head that later lines are indented by. */
  prose(text: string, head = ''): void {
    this.line(wrapWords(text, this.columns, head));
  }

  /** Text for people, as it is. */
  write(text: string): void {
    if (this.json || this.quiet) return;
    this.#live.hide();
    process.stdout.write(text);
  }

  /** One object for programs, on a line of its own. */
  object(value: object): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** What happened, for people, beside the result. */
  warn(text: string): void {
    if (this.quiet || this.json) return;
    this.#live.hide();
    process.stderr.write(`${this.style('yellow', wrapWords(text, screenColumns(process.stderr)))}\n`);
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

/** Columns of the screen behind a stream; no bound for files and pipes. */
export const screenColumns = (stream: NodeJS.WriteStream): number =>
  stream.isTTY ? stream.columns || 80 : Infinity;

/**
 * Output never ends the work: where a stream can no longer be written (a reader that went away, a full disk), what
 * would come is dropped. `onLost` is called once when standard output is lost for another reason than its reader's.
 */
export function surviveOutputErrors(onLost: (reason: string) => void): void {
  muteOnError(process.stderr, () => {});
  muteOnError(process.stdout, ({ code, message }) => {
    // A reader that goes away (`| head`) has what it wanted.
    if (code !== 'EPIPE') onLost(code ?? message);
  });
}

function muteOnError(stream: NodeJS.WriteStream, onLost: (error: NodeJS.ErrnoException) => void): void {
  let isLost = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isLost) return;
    isLost = true;
    stream.write = () => true;
    onLost(error);
  });
}
