/** Wakes one who waits; a ring that comes while nobody waits is not lost. */
export class Doorbell {
  #hasRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Waits for a ring, the end of some milliseconds, or the signal, whichever comes first. @returns whether it rang */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#hasRung && !signal.aborted)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', this.#wake, { once: true });
      });
    if (this.#wake !== undefined) signal.removeEventListener('abort', this.#wake);
    this.#wake = undefined;
    const hasRung = this.#hasRung;
    this.#hasRung = false;
    return hasRung;
  }
}
