import { Environment, Interpreter } from './jinja.js';
import type { JinjaEnvironment, JinjaNode, JinjaValue } from './jinja.js';

/* Where the library does something else than Python, and published templates show it. */

interface ForNode extends JinjaNode {
  readonly iterable: JinjaNode & { readonly lhs?: JinjaNode };
}

interface MemberNode extends JinjaNode {
  readonly object: JinjaNode;
  readonly property: { readonly value?: unknown };
}

export class PythonInterpreter extends Interpreter {
  /** What loops go over: there, what is not defined is empty. */
  readonly #iterables = new WeakSet<JinjaNode>();
  /** What is stripped: the characters to strip may be given. */
  readonly #stripped = new WeakSet<JinjaNode>();

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    if (node?.type === 'For') {
      const { iterable } = node as ForNode;
      this.#iterables.add(iterable.type === 'SelectExpression' ? iterable.lhs! : iterable);
    } else if (node?.type === 'MemberExpression') {
      const { object, property } = node as MemberNode;
      if (Object.hasOwn(strips, String(property.value))) this.#stripped.add(object);
    }
    const result = super.evaluate(node, environment);
    if (node === undefined) return result;
    if (result.type === 'UndefinedValue' && this.#iterables.has(node)) return runtimeValue([]);
    if (result.type === 'StringValue' && this.#stripped.has(node)) {
      const text = result.value as string;
      for (const [name, strip] of Object.entries(strips))
        result.builtins.set(
          name,
          runtimeValue((letters: unknown) => strip(text, letters)),
        );
    }
    return result;
  }
}

const runtimeValue = (value: unknown): JinjaValue => new Environment().set('value', value);

const strips: Readonly<Record<string, (text: string, letters: unknown) => string>> = {
  strip: (text, letters) => stripEnd(stripStart(text, letters), letters),
  lstrip: stripStart,
  rstrip: stripEnd,
};

/** White space of Python that is none of JavaScript. */
const moreSpaces = '\x1c\x1d\x1e\x1f\x85';

/** White space where no letters are given. */
function isStripped(letter: string, letters: unknown): boolean {
  if (typeof letters === 'string') return letters.includes(letter);
  return moreSpaces.includes(letter) || (/\s/.test(letter) && letter !== '\ufeff');
}

function stripStart(text: string, letters: unknown): string {
  let start = 0;
  while (start < text.length && isStripped(text[start]!, letters)) start++;
  return text.slice(start);
}

function stripEnd(text: string, letters: unknown): string {
  let end = text.length;
  while (end > 0 && isStripped(text[end - 1]!, letters)) end--;
  return text.slice(0, end);
}
