import { compactError } from '../errors.js';

/**
 * Signals that ask a command to end: the terminal (Ctrl-C, a closed window), the system, and the schedulers of
 * clusters, which send SIGUSR1 or SIGUSR2 ahead of a time limit.
 */
const signalNames = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** Only these end at once when they come again; warnings of a scheduler and closing terminals repeat themselves. */
const insistent: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

/** npm and npx pass on a Ctrl-C that the terminal has sent to us as well: the same signal so soon is the same one. */
const sameRequestMs = 500;

export interface Interrupt extends Disposable {
  /** Aborted by the first signal; its reason is an ERR_COMPACT_ABORTED that names the signal. */
  readonly signal: AbortSignal;
}

/**
 * The first signal asks the work to stop where nothing is lost; a second SIGINT or SIGTERM ends the process at once.
 * Disposal gives the signals back to the system.
 */
export function onInterrupt(
  stop: (name: NodeJS.Signals) => void,
  beforeEndAtOnce: () => void = () => {},
): Interrupt {
  const controller = new AbortController();
  const seen: { readonly name: NodeJS.Signals; readonly at: number }[] = [];
  const isRepeated = (name: NodeJS.Signals, at: number): boolean =>
    seen.some((one) => one.name === name && at - one.at < sameRequestMs);
  const handle = (name: NodeJS.Signals): void => {
    const at = performance.now();
    if (isRepeated(name, at)) return;
    if (insistent.includes(name)) {
      if (seen.length > 0) {
        beforeEndAtOnce();
        endAtOnce();
      }
      seen.push({ name, at });
    }
    if (controller.signal.aborted) return;
    controller.abort(compactError('ERR_COMPACT_ABORTED', `${name}: interrupted`));
    stop(name);
  };
  for (const name of signalNames) process.on(name, handle);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of signalNames) process.off(name, handle);
    },
  };
}

/** Dies of SIGINT, as shells expect (code 130); exiting instead would wait for file operations that are under way. */
export function endAtOnce(): never {
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
  return process.exit(130); // the first process of a container is not killed by its own signal
}
