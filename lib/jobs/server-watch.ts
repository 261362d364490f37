/**
 * Tells which servers have stopped beating. A server counts its beats in the database; one whose count has not changed for
 * a time, on the clock of whoever watches it, is gone. No two clocks have to agree.
 */
export class ServerWatch {
  readonly #seen = new Map<string, { readonly beats: number; readonly since: number }>();

  /**
   * @param beats of each server that is of interest now; others are forgotten
   * @param timeoutMs milliseconds without a beat that mean that a server is gone
   * @param now milliseconds of a clock that only goes forward
   */
  lost(beats: ReadonlyMap<string, number>, timeoutMs: number, now: number): readonly string[] {
    for (const server of this.#seen.keys()) if (!beats.has(server)) this.#seen.delete(server);
    const lost: string[] = [];
    for (const [server, count] of beats) {
      const seen = this.#seen.get(server);
      const since = seen?.beats === count ? seen.since : now;
      this.#seen.set(server, { beats: count, since });
      if (now - since >= timeoutMs) lost.push(server);
    }
    return lost;
  }
}
