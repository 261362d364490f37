import type { TrainerOptions } from '../train/index.js';
import { formatBytes, formatDuration } from './format.js';
import { barLine } from './progress.js';
import type { Terminal } from './terminal.js';

/** Little text is tokenised before anybody would read of it. */
const quietMs = 1000;
/** Between lines of a log. */
const logMs = 5000;

/**
 * How far tokenising is: the live line of a terminal, a line every few seconds in a log, an object as often with --json.
 * @param now in milliseconds
 */
export function tokenizeProgress(
  terminal: Terminal,
  now: () => number = () => performance.now(),
): NonNullable<TrainerOptions['onTokenize']> {
  const startedAt = now();
  let toldAt = startedAt - logMs;
  return ({ doneBytes, totalBytes }) => {
    const elapsedMs = now() - startedAt;
    if (elapsedMs < quietMs) return;
    const isDone = doneBytes >= totalBytes;
    if (terminal.isInteractive && !isDone) {
      const secondsLeft = (elapsedMs / 1000 / doneBytes) * (totalBytes - doneBytes);
      const bytes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
      const parts = [`tokenising ${bytes}`, `ETA ${formatDuration(secondsLeft)}`];
      terminal.status(barLine(doneBytes / totalBytes, parts, terminal.columns));
    } else if (isDone || now() - toldAt >= logMs) {
      toldAt = now();
      terminal.clearStatus();
      if (!terminal.quiet) terminal.object({ type: 'tokenize', doneBytes, totalBytes });
      terminal.line(
        isDone
          ? `tokenised ${formatBytes(totalBytes)} in ${formatDuration(elapsedMs / 1000)}`
          : `tokenising ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`,
      );
    }
  };
}
