import { createContext, Script } from 'node:vm';

const call = new Script('run()');
const context = createContext({ run: undefined });

/** What a call comes to that took longer than it may. */
export const ranTooLong = Symbol('ran too long');

/**
 * Calls a function that may take for ever, in the calling thread: JavaScript's own watchdog ends it, whatever it does, and
 * no code of it runs any more.
 *
 * @param limitMs how long it may take
 */
export function runBounded<T>(work: () => T, limitMs: number): T | typeof ranTooLong {
  let result: { readonly value: T } | undefined;
  const outer: unknown = context['run'];
  context['run'] = (): void => void (result = { value: work() });
  try {
    call.runInContext(context, { timeout: limitMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return ranTooLong;
    throw error;
  } finally {
    context['run'] = outer;
  }
  return result!.value;
}
