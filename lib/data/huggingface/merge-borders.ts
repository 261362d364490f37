// Merges join neighbours, so where no merged token holds two letters side by side nothing is ever merged across them: the
// text on either side becomes the same tokens alone. In vocabularies that take a whole text as one piece this cuts it into
// words, which are short and come again.

/** Cuts a text where no merge can reach across. */
export type BorderCutter = (text: string) => readonly string[];

/**
 * @param merged every token that a merge makes
 * @param isKnown whether a letter is a token; neighbours of one that is not stay together, for they may become one unknown
 */
export function borderCutter(merged: Iterable<string>, isKnown: (letter: string) => boolean): BorderCutter {
  const followers = new Map<number, Set<number>>();
  for (const token of merged)
    for (let i = 1; i < token.length; i++) {
      const before = token.charCodeAt(i - 1);
      const known = followers.get(before);
      if (known === undefined) followers.set(before, new Set([token.charCodeAt(i)]));
      else known.add(token.charCodeAt(i));
    }
  const knownUnits = new Map<number, boolean>();
  const isKnownUnit = (unit: number): boolean => {
    const known = knownUnits.get(unit);
    if (known !== undefined) return known;
    // Halves of surrogate pairs are no letters.
    const value = isKnown(String.fromCharCode(unit));
    knownUnits.set(unit, value);
    return value;
  };
  return (text) => {
    const parts: string[] = [];
    let start = 0;
    for (let i = 1; i < text.length; i++) {
      const [before, after] = [text.charCodeAt(i - 1), text.charCodeAt(i)];
      if (followers.get(before)?.has(after) === true || !isKnownUnit(before) || !isKnownUnit(after)) continue;
      parts.push(text.slice(start, i));
      start = i;
    }
    parts.push(text.slice(start));
    return parts;
  };
}
