import type { TrainerOptions } from '../train/index.js';
import { formatBytes } from './format.js';
import { startProgress } from './start-progress.js';
import type { Terminal } from './terminal.js';

/**
 * How far tokenising is.
 * @param now in milliseconds
 */
export function tokenizeProgress(
  terminal: Terminal,
  now?: () => number,
): NonNullable<TrainerOptions['onTokenize']> {
  const work = {
    doing: 'tokenising',
    done: 'tokenised',
    amount: formatBytes,
    object: (doneBytes: number, totalBytes: number) => ({ type: 'tokenize', doneBytes, totalBytes }),
  };
  const tell = startProgress(terminal, work, now);
  return ({ doneBytes, totalBytes }) => tell(doneBytes, totalBytes);
}
