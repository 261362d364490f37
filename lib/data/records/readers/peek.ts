/** A stream of which the start was read; all of it is still to come out of `chunks`. */
export interface Peeked<T> {
  readonly start: readonly T[];
  readonly chunks: AsyncIterable<T>;
  /** Ends the stream, whether or not anything of `chunks` was taken. */
  close(): Promise<void>;
}

/**
 * Looks at the start of a stream.
 * @param isEnough asked after each chunk; the end of the stream is enough, too
 */
export async function peek<T>(
  stream: AsyncIterable<T>,
  isEnough: (start: readonly T[]) => boolean,
): Promise<Peeked<T>> {
  const iterator = stream[Symbol.asyncIterator]();
  const start: T[] = [];
  while (!isEnough(start)) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    start.push(value);
  }
  let numTaken = 0;
  const close = async (): Promise<void> => void (await iterator.return?.());
  const all: AsyncIterator<T> = {
    next: async () => (numTaken < start.length ? { value: start[numTaken++]! } : iterator.next()),
    return: async () => {
      await close();
      return { done: true, value: undefined };
    },
  };
  return { start, chunks: { [Symbol.asyncIterator]: () => all }, close };
}
