import { setTimeout as wait } from 'node:timers/promises';
import { isCompactError } from '../errors.js';

/** Between two attempts to reach a store. */
export const storeRetryMs = 1000;

/**
 * Asks a store again and again while it cannot be reached: what has been done must not be lost.
 * @param signal ends that: the next error is thrown
 * @param onProblem told of each failure
 * @throws what the work throws, but ERR_COMPACT_STORE only once the signal is given
 */
export async function persistently<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  onProblem: (problem: unknown) => void,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isCompactError(error, 'ERR_COMPACT_STORE') || signal.aborted) throw error;
      onProblem(error);
      await wait(storeRetryMs, undefined, { signal }).catch(() => {});
    }
  }
}
