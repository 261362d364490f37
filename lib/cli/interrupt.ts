import { exitCodes } from './exit-codes.js';

export interface Interrupt extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/**
 * The first SIGINT or SIGTERM asks the work to stop where nothing is lost; the second ends the process at once.
 * Disposal gives the signals back to the system.
 */
export function onInterrupt(announce: (signal: NodeJS.Signals) => void): Interrupt {
  const controller = new AbortController();
  const handle = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
    announce(signal);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const name of signals) process.on(name, handle);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of signals) process.off(name, handle);
    },
  };
}
