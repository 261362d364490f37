import type { TrainerOptions } from '../train/index.js';
import { startProgress } from './start-progress.js';
import type { Terminal } from './terminal.js';

/**
 * How far the model that a run of preferences starts from is with the answers.
 * @param now in milliseconds
 */
export function referenceProgress(
  terminal: Terminal,
  now?: () => number,
): NonNullable<TrainerOptions['onReference']> {
  const work = {
    doing: 'answers read by the reference:',
    done: 'answers read by the reference:',
    amount: (count: number) => count.toLocaleString('en'),
    object: (numDone: number, numAnswers: number) => ({ type: 'reference', numDone, numAnswers }),
  };
  // Other work comes before it.
  let tell: ReturnType<typeof startProgress> | undefined;
  return ({ numDone, numAnswers }) => {
    tell ??= startProgress(terminal, work, now);
    tell(numDone, numAnswers);
  };
}
