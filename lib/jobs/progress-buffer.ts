import type { JobProgress } from './job-store.js';

const maxDelayMs = 200;
const maxEvents = 50;

/**
 * Gathers what a job tells, so that a store is not asked for every step: it is written after 200 ms, as soon as there are 50
 * events, and with every checkpoint. Writings follow each other, in order.
 */
export class ProgressBuffer {
  readonly #write: (progress: JobProgress) => Promise<void>;
  #gathered: JobProgress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #written: Promise<void> = Promise.resolve();

  /** @param write what it throws is thrown by `flush`, and nothing is written from then on */
  constructor(write: (progress: JobProgress) => Promise<void>) {
    this.#write = write;
  }

  add(progress: JobProgress): void {
    const events = [...(this.#gathered?.events ?? []), ...progress.events];
    this.#gathered = { ...progress, events };
    if (progress.checkpoint !== undefined || events.length >= maxEvents) this.#writeGathered();
    else this.#timer ??= setTimeout(() => this.#writeGathered(), maxDelayMs);
  }

  /** Settles when everything so far is written. */
  flush(): Promise<void> {
    this.#writeGathered();
    return this.#written;
  }

  #writeGathered(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const progress = this.#gathered;
    if (progress === undefined) return;
    this.#gathered = undefined;
    this.#written = this.#written.then(() => this.#write(progress));
    this.#written.catch(() => {}); // is thrown by flush
  }
}
