import { type Node, type Value, definitionOf, requiredAliases } from '../graph/index.js';

/**
 * For each node, the earlier ones that must stay before it: they wrote what it reads or writes, or read what it writes.
 * Updates of different elements of one vector may change places; those of rows of one value do not.
 */
export function dependenciesOf(nodes: readonly Node[]): ReadonlyMap<Node, readonly Node[]> {
  const memories = new Map<Value, Value>();
  const memoryOf = (value: Value): Value => memories.get(value) ?? value.rowsOf?.value ?? value;
  const accesses = new Map<Value, Accesses>();
  const accessesOf = (memory: Value): Accesses => {
    const known = accesses.get(memory) ?? new Accesses();
    accesses.set(memory, known);
    return known;
  };
  const dependencies = new Map<Node, readonly Node[]>();
  for (const node of nodes) {
    for (const [output, input] of requiredAliases(node)) memories.set(output, memoryOf(input));
    const elements = new Map(elementUpdates(node).map(([output, element]) => [memoryOf(output), element]));
    const isWhole = (memory: Value): boolean => !elements.has(memory);
    const read = new Set(node.inputs.flatMap((input) => (input === undefined ? [] : [memoryOf(input)])));
    const written = new Set(node.outputs.map(memoryOf));
    const found: Node[] = [];
    for (const memory of read) if (isWhole(memory)) found.push(...accessesOf(memory).writers());
    for (const memory of written) if (isWhole(memory)) found.push(...accessesOf(memory).all());
    for (const [memory, element] of elements) found.push(...accessesOf(memory).touching(element));
    dependencies.set(node, found);
    for (const memory of read) if (isWhole(memory)) accessesOf(memory).readers.push(node);
    for (const memory of written) if (isWhole(memory)) accesses.set(memory, new Accesses(node));
    for (const [memory, element] of elements) accessesOf(memory).elements.set(element, node);
  }
  return dependencies;
}

/** What has been done with a piece of memory since it was last written as a whole. */
class Accesses {
  readonly readers: Node[] = [];
  /** The last update of each element. */
  readonly elements = new Map<number, Node>();

  constructor(readonly writer?: Node) {}

  writers(): Node[] {
    return [...this.#whole(), ...this.elements.values()];
  }

  all(): Node[] {
    return [...this.writers(), ...this.readers];
  }

  touching(element: number): Node[] {
    const last = this.elements.get(element);
    return [...this.#whole(), ...this.readers, ...(last === undefined ? [] : [last])];
  }

  #whole(): Node[] {
    return this.writer === undefined ? [] : [this.writer];
  }
}

/** Outputs of which a node writes one element, with its number. */
function elementUpdates(node: Node): (readonly [Value, number])[] {
  return definitionOf(node).elementUpdates.flatMap(([index, attribute]) => {
    const output = node.outputs[index]; // absent as its input
    const element = node.attributes[attribute];
    return output !== undefined && typeof element === 'number' ? [[output, element] as const] : [];
  });
}
