import { ApiError } from './api-error.js';

/** How much of something one key may hold at a time. */
export class Slots {
  readonly #limit: number;
  readonly #what: string;
  readonly #taken = new Map<string, number>();

  /** @param what there is, in the plural, e.g. 'uploads' */
  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  /**
   * Takes one; it is given back with what is returned. Giving back twice is giving back once.
   * @throws ApiError too_many_requests
   */
  take(key: string): Disposable {
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= this.#limit)
      throw new ApiError(
        'too_many_requests',
        `This key has ${taken} ${this.#what} under way, as many as it may have at a time. Wait for one to end`,
      );
    this.#taken.set(key, taken + 1);
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (!isTaken) return;
        isTaken = false;
        const left = this.#taken.get(key)! - 1;
        if (left === 0) this.#taken.delete(key);
        else this.#taken.set(key, left);
      },
    };
  }
}
