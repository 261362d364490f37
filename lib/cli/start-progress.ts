import { formatDuration } from './format.js';
import { barLine } from './progress.js';
import type { Terminal } from './terminal.js';

/** What is quick is done before anybody would read of it. */
const quietMs = 1000;
/** Between lines of a log. */
const logMs = 5000;

/** Work before the first step, in words. */
export interface StartWork {
  /** E.g. 'tokenising'. */
  readonly doing: string;
  /** E.g. 'tokenised'. */
  readonly done: string;
  amount(count: number): string;
  /** For --json. */
  object(done: number, total: number): Readonly<Record<string, unknown>>;
}

/**
 * How far some work is that a run begins with: the live line of a terminal, a line every few seconds in a log, an object as
 * often with --json.
 * @param now in milliseconds
 */
export function startProgress(
  terminal: Terminal,
  work: StartWork,
  now: () => number = () => performance.now(),
): (done: number, total: number) => void {
  const startedAt = now();
  let toldAt = startedAt - logMs;
  return (done, total) => {
    const elapsedMs = now() - startedAt;
    if (elapsedMs < quietMs) return;
    const isDone = done >= total;
    if (terminal.isInteractive && !isDone) {
      const secondsLeft = (elapsedMs / 1000 / done) * (total - done);
      const parts = [
        `${work.doing} ${work.amount(done)} of ${work.amount(total)}`,
        `ETA ${formatDuration(secondsLeft)}`,
      ];
      terminal.status(barLine(done / total, parts, terminal.columns));
    } else if (isDone || now() - toldAt >= logMs) {
      toldAt = now();
      terminal.clearStatus();
      if (!terminal.quiet) terminal.object(work.object(done, total));
      terminal.line(
        isDone
          ? `${work.done} ${work.amount(total)} in ${formatDuration(elapsedMs / 1000)}`
          : `${work.doing} ${work.amount(done)} of ${work.amount(total)}`,
      );
    }
  };
}
