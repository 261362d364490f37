import { EventEmitter } from 'node:events';
import { warnProcess } from '../resources.js';
import type { TrainerEvents } from '../options/types.js';

/** Events whose listeners cannot disturb the work that they hear of. */
export class Announcer extends EventEmitter<TrainerEvents> {
  readonly #errors: unknown[] = [];

  /** Calls the listeners of an event, each of them whatever the others do; their errors wait for `rethrow`. */
  protected tell<K extends keyof TrainerEvents>(event: K, ...args: TrainerEvents[K]): void {
    for (const listener of this.rawListeners(event)) {
      try {
        Reflect.apply(listener, this, args);
      } catch (error) {
        this.#errors.push(error);
      }
    }
  }

  /** Tells what went wrong in work that may not fail for it; where nobody listens, as a warning of the process. */
  protected warn(problem: unknown): void {
    if (this.listenerCount('warning') > 0) this.tell('warning', problem as Error);
    else warnProcess(problem);
  }

  /** Makes uncaught exceptions of what listeners have thrown. */
  protected rethrow(): void {
    for (const error of this.#errors.splice(0))
      queueMicrotask(() => {
        throw error;
      });
  }
}
