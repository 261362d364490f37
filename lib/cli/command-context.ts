import type { ExitCode } from './exit-codes.js';
import type { Terminal } from './terminal.js';

/** What commands are made with. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** The words of the command line. */
  readonly args: readonly string[];
  /** Sets the exit code of a command that ends without an error. */
  readonly finish: (code: ExitCode) => void;
}
