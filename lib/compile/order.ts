import {
  type Node,
  type Program,
  type Value,
  overlap,
  producersOf,
  readersOf,
  requiredAliases,
} from '../graph/index.js';

/**
 * When the gradient of a weight is made: as soon as the gradient of the layer's output is there (`early`: the saved
 * input is freed before the input gradients are made), or just before the input gradient of the same layer (`late`:
 * at most one weight gradient at a time). Which is smaller depends on the number of tokens.
 */
export type WeightGradientPlace = 'early' | 'late';

/**
 * Orders the nodes of an entry. Forward keeps the order of the model, with what is compressed right after what it
 * compresses. In backward, copies and lazy projections come just before their first use, and every update as soon as
 * its gradient is there and nothing will read the old weight any more.
 */
export function order(program: Program, place: WeightGradientPlace): Program {
  const producers = producersOf(program.nodes);
  const schedule = new Schedule(program.nodes, producers);
  for (const node of forwardOrder(program.nodes, producers)) schedule.emit(node);
  for (const node of backwardOrder(program, producers, place)) schedule.emit(node);
  for (const node of program.nodes) schedule.emit(node);
  return { ...program, nodes: schedule.nodes };
}

/** The model's own order; nodes that were made later (compression, the loss with its gradients) follow their input. */
function forwardOrder(nodes: readonly Node[], producers: ReadonlyMap<Value, Node>): Node[] {
  const positions = new Map<Node, number>();
  let isModel = true;
  for (const [index, node] of nodes.entries()) {
    if (node.phase !== 'forward') isModel = false;
    else if (isModel) positions.set(node, index);
    else {
      const inputs = node.inputs.map((input) => positions.get(producers.get(input!)!) ?? -1);
      positions.set(node, Math.max(...inputs) + 0.5);
    }
  }
  return sortedByPosition(positions);
}

/** Nodes that depend on a gradient, with the weight gradients moved to their place. */
function backwardOrder(
  { nodes, outputs }: Program,
  producers: ReadonlyMap<Value, Node>,
  place: WeightGradientPlace,
): Node[] {
  const losses = new Set([...outputs.values()].map((output) => producers.get(output)));
  const indices = new Map<Node, number>();
  for (const [index, node] of nodes.entries()) {
    if (node.phase !== 'backward') continue;
    const depends = node.inputs.some((input) => {
      const producer = input && producers.get(input);
      return producer !== undefined && (losses.has(producer) || indices.has(producer));
    });
    if (depends) indices.set(node, index);
  }
  const readers = readersOf([...indices.keys()]);
  const isLeaf = (node: Node) => node.outputs.every((output) => !readers.has(output));
  const positions = new Map<Node, number>();
  for (const [node, index] of indices) {
    if (!isLeaf(node)) {
      positions.set(node, index);
      continue;
    }
    // The latest of the gradients that it needs.
    let made = -1;
    let next = Infinity;
    for (const input of node.inputs) {
      const position = indices.get(producers.get(input!)!);
      if (input === undefined || position === undefined || position < made) continue;
      made = position;
      next = Math.min(
        ...readers.get(input)!.map((reader) => (isLeaf(reader) ? Infinity : indices.get(reader)!)),
      );
    }
    positions.set(node, place === 'early' || next === Infinity ? made + 0.5 : next - 0.5);
  }
  return sortedByPosition(positions);
}

const sortedByPosition = (positions: ReadonlyMap<Node, number>): Node[] =>
  [...positions].toSorted(([, a], [, b]) => a - b).map(([node]) => node);

/**
 * The update in place that a value is made for alone. What makes it waits for the same readers: a step of a weight's size
 * is made when the weight can take it, so there is one at a time.
 */
function updateFedBy(node: Node, readers: ReadonlyMap<Value, readonly Node[]>): Node | undefined {
  const [reader, ...others] = node.outputs.flatMap((output) => readers.get(output) ?? []);
  const isAlone = requiredAliases(node).length === 0 && others.length === 0 && reader?.phase === 'update';
  return isAlone && requiredAliases(reader).length > 0 ? reader : undefined;
}

/**
 * Nodes that need nothing that a step makes: constants, and what updates make of states as they were. They come just before
 * what reads them, and nothing waits for them.
 */
function nodesAtHand(nodes: readonly Node[], producers: ReadonlyMap<Value, Node>): ReadonlySet<Node> {
  const atHand = new Set<Node>();
  const isAtHand = (input: Value | undefined): boolean => {
    const producer = input && producers.get(input);
    return producer === undefined || atHand.has(producer);
  };
  for (const node of nodes) {
    const { inputs, phase } = node;
    const isOfStates = phase === 'update' && requiredAliases(node).length === 0 && inputs.every(isAtHand);
    if (inputs.length === 0 || isOfStates) atHand.add(node);
  }
  return atHand;
}

/** The nodes that read a value, or rows of it, or what it is rows of. */
function readersByMemory(readers: ReadonlyMap<Value, readonly Node[]>): (value: Value) => readonly Node[] {
  const wholeOf = (value: Value): Value => value.rowsOf?.value ?? value;
  const ofWhole = new Map<Value, Value[]>();
  for (const value of readers.keys()) {
    const whole = wholeOf(value);
    ofWhole.set(whole, [...(ofWhole.get(whole) ?? []), value]);
  }
  return (value) =>
    ofWhole
      .get(wholeOf(value))!
      .filter((other) => overlap(value, other))
      .flatMap((other) => readers.get(other)!);
}

/** Emits nodes with what they need, and updates as soon as nothing holds them back. */
class Schedule {
  readonly nodes: Node[] = [];
  readonly #producers: ReadonlyMap<Value, Node>;
  readonly #emitted = new Set<Node>();
  /** Nodes that an update waits for: those that make its operands, those that read what it overwrites. */
  readonly #waiting = new Map<Node, Set<Node>>();
  readonly #released = new Map<Node, Node[]>();

  constructor(nodes: readonly Node[], producers: ReadonlyMap<Value, Node>) {
    this.#producers = producers;
    const readers = readersOf(nodes);
    const readersOfMemory = readersByMemory(readers);
    const atHand = nodesAtHand(nodes, producers);
    for (const node of nodes) {
      if (node.phase !== 'update') continue;
      const waitsFor = new Set<Node>();
      for (const input of node.inputs) {
        const producer = input && producers.get(input);
        if (producer !== undefined && !atHand.has(producer)) waitsFor.add(producer);
      }
      const fed = updateFedBy(node, readers);
      for (const [, target] of requiredAliases(fed ?? node)) {
        for (const reader of readersOfMemory(target))
          if (reader !== node && reader !== fed) waitsFor.add(reader);
      }
      this.#waiting.set(node, waitsFor);
      for (const other of waitsFor) {
        const known = this.#released.get(other);
        if (known === undefined) this.#released.set(other, [node]);
        else known.push(node);
      }
    }
  }

  emit(node: Node): void {
    if (this.#emitted.has(node)) return;
    for (const other of this.#waiting.get(node) ?? []) this.emit(other);
    for (const input of node.inputs) {
      const producer = input && this.#producers.get(input);
      if (producer !== undefined) this.emit(producer);
    }
    this.#push(node);
  }

  #push(node: Node): void {
    if (this.#emitted.has(node)) return;
    this.#emitted.add(node);
    this.nodes.push(node);
    for (const update of this.#released.get(node) ?? []) {
      const waitsFor = this.#waiting.get(update)!;
      waitsFor.delete(node);
      if (waitsFor.size === 0) this.emit(update);
    }
  }
}
