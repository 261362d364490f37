import type { Terminal } from '../terminal.js';

/** What a long job is doing: one line that is overwritten where a person watches, a line per phase in a pipe. */
export class StatusLine {
  readonly #terminal: Terminal;
  #phase = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** `detail` changes often and is shown on screens only. */
  show(phase: string, detail = ''): void {
    if (this.#terminal.isInteractive) {
      const text = `${phase}  ${detail}`.slice(0, this.#terminal.columns - 1);
      process.stdout.write(`\r\x1b[2K${this.#terminal.style('dim', text)}`);
    } else if (phase !== this.#phase) {
      this.#terminal.line(phase);
    }
    this.#phase = phase;
  }

  clear(): void {
    if (this.#terminal.isInteractive) process.stdout.write('\r\x1b[2K');
  }
}
