const positions = 2 ** 26;

/** A heap of merges that wait for their turn: the lowest rank first, of equal ranks the leftmost. */
export class MergeQueue {
  // rank * positions + position: one number orders by both. Ranks stay below 2^24, so it is exact.
  readonly #keys: number[] = [];

  push(rank: number, position: number): void {
    const keys = this.#keys;
    const key = rank * positions + position;
    let at = keys.length;
    keys.push(key);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): { readonly rank: number; readonly position: number } | undefined {
    const keys = this.#keys;
    const last = keys.pop();
    if (last === undefined) return undefined;
    const first = keys.length === 0 ? last : keys[0]!;
    if (keys.length > 0) this.#sink(last);
    const rank = Math.floor(first / positions);
    return { rank, position: first - rank * positions };
  }

  #sink(key: number): void {
    const keys = this.#keys;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= keys.length) break;
      if (child + 1 < keys.length && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
  }
}
