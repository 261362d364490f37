/**
 * A JSON object as its writer meant it, or none. No name occurs twice in an object: of equal names JSON.parse keeps the
 * last and other readers the first, so the same file would be two. What nests deeper than its format does is refused
 * before it is built.
 * @throws Error with the reason
 */
export function parseStrictObject(text: string, maxDepth: number): Readonly<Record<string, unknown>> {
  checkNames(text, maxDepth);
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new Error('it is not a JSON object');
  return value;
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkNames(text: string, maxDepth: number): void {
  /** Names so far of what is open, from the outermost in; none of a list. */
  const open: (Set<string> | undefined)[] = [];
  let string = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined);
      if (open.length > maxDepth) throw new Error(`it nests deeper than ${maxDepth}`);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const begin = i;
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
      string = text.slice(begin, i + 1);
    } else if (character === ':') {
      const name = JSON.parse(string) as string;
      const names = open.at(-1);
      if (names?.has(name) === true) throw new Error(`the name ${string} occurs twice`);
      names?.add(name);
    }
  }
}
