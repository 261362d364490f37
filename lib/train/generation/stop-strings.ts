/**
 * Text on its way to a reader who is not to see a stop string: what may be the beginning of one is held back until it is
 * known not to be.
 */
export class StopStrings {
  readonly #strings: readonly string[];
  #held = '';
  #isStopped = false;

  /** @param strings none of them empty */
  constructor(strings: readonly string[]) {
    this.#strings = strings;
  }

  /** Whether one of the strings has come; nothing is told from there on. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** The text that can be told now. */
  push(text: string): string {
    if (this.#isStopped) return '';
    const whole = this.#held + text;
    const found = this.#strings.map((stop) => whole.indexOf(stop)).filter((index) => index >= 0);
    this.#isStopped = found.length > 0;
    const end = this.#isStopped ? Math.min(...found) : whole.length - this.#lengthOfBeginning(whole);
    this.#held = whole.slice(end);
    return whole.slice(0, end);
  }

  /** What is held back, where no more text comes. */
  end(): string {
    return this.#isStopped ? '' : this.#held;
  }

  /** Length of the longest end of a text that a stop string begins with. */
  #lengthOfBeginning(text: string): number {
    const lengths = this.#strings.map((stop) => {
      let length = Math.min(stop.length - 1, text.length);
      while (!stop.startsWith(text.slice(text.length - length))) length--;
      return length;
    });
    return Math.max(0, ...lengths);
  }
}
