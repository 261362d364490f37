/** Things to give back, last taken first given back, all of them whatever happens. */
export class Resources implements AsyncDisposable {
  readonly #releases: (() => Promise<void>)[] = [];

  add(release: () => Promise<void>): void {
    this.#releases.push(release);
  }

  /** Adds a resource and returns it. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.add(async () => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Throws the first error when everything has been tried. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
