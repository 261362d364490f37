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

  /** Gives everything back. Never throws: that would hide why things are given back. Returns what went wrong. */
  async release(): Promise<readonly unknown[]> {
    const problems: unknown[] = [];
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        problems.push(error);
      }
    }
    return problems;
  }

  /** The same where nobody asks: what went wrong becomes a warning of the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const problem of await this.release()) warnProcess(problem);
  }
}

/** Tells what went wrong in work that may not fail for it. */
export function warnProcess(problem: unknown): void {
  const { name, code, message } = problem as { name?: string; code?: string; message?: string };
  process.emitWarning(message ?? String(problem), { type: name, code });
}
