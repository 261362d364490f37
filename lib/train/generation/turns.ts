/** Lets one after the other have what only one can have at a time. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for those who asked before; the turn ends with the disposal of what is returned. */
  async take(): Promise<Disposable> {
    const before = this.#last;
    let end = (): void => {};
    this.#last = new Promise((resolve) => (end = resolve));
    await before;
    return { [Symbol.dispose]: () => end() };
  }
}
