/** Work of the same name is done one after the other, so that what is counted first still holds when it is acted upon. */
export class OneAtATime {
  readonly #last = new Map<string, Promise<unknown>>();

  async do<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name);
    }
  }
}
