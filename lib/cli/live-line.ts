/** Time between two drawings: a line that changes more often flickers and costs the work its time. */
const minMsBetween = 125;

/**
 * The last line of a screen, overwritten in place. Whatever else is printed takes it off first (`hide`), so nothing is
 * ever printed over; the cursor is neither hidden nor moved, so there is nothing to restore however the process ends.
 */
export class LiveLine {
  #isShown = false;
  #text = '';
  #drawnAt = -Infinity;

  /** Shows a text that is shorter than the screen is wide, at most eight times a second. */
  show(text: string): void {
    this.#text = text;
    if (performance.now() - this.#drawnAt >= minMsBetween) this.#draw();
  }

  hide(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    process.stdout.write('\r\x1b[K');
  }

  /** Hides the line, and leaves nothing to `end`. */
  clear(): void {
    this.hide();
    this.#text = '';
  }

  /** Leaves the latest text on the screen. */
  end(): void {
    if (this.#text === '') return;
    this.#draw();
    process.stdout.write('\n');
    this.#isShown = false;
    this.#text = '';
  }

  #draw(): void {
    process.stdout.write(`\r${this.#text}\x1b[K`);
    this.#isShown = true;
    this.#drawnAt = performance.now();
  }
}
