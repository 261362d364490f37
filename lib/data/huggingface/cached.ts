const maxLength = 64;
const maxEntries = 50_000;

/**
 * A function of texts that remembers what it gave for short ones, for words come again and again. What it gives must not be
 * changed. Bounded: a full memory is emptied.
 */
export function cached<T>(of: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    if (text.length > maxLength) return of(text);
    const found = known.get(text);
    if (found !== undefined) return found;
    const value = of(text);
    if (known.size >= maxEntries) known.clear();
    known.set(text, value);
    return value;
  };
}
