/** Who wants to hear of which jobs. */
export class JobListeners {
  readonly #onProblem: (problem: unknown) => void;
  readonly #listeners = new Map<string, Set<() => void>>();

  /** @param onProblem told what listeners throw, which is none of their caller's affairs */
  constructor(onProblem: (problem: unknown) => void) {
    this.#onProblem = onProblem;
  }

  /** Ids of jobs that somebody listens to. */
  get jobs(): readonly string[] {
    return [...this.#listeners.keys()];
  }

  /** @returns how to end it */
  add(id: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id);
    };
  }

  tell(id: string): void {
    for (const listener of this.#listeners.get(id) ?? []) {
      try {
        listener();
      } catch (error) {
        this.#onProblem(error);
      }
    }
  }
}
