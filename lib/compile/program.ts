import { type Graph, type Node, type OpDefinition, type Value, opDefinitions } from '../graph/index.js';

/**
 * One entry of a plan on its way through the compiler. Stages take a program and return a new one; nodes are never
 * changed, a stage that gives a node other operands makes a new node with the same outputs. What counts is this list,
 * not `graph.nodes`, which also holds what was dropped.
 */
export interface Program {
  readonly name: string;
  readonly graph: Graph;
  /** A valid order of execution. */
  readonly nodes: readonly Node[];
  /** Nodes that may run at the same time as the one before them. Default: none. */
  readonly joined?: ReadonlySet<Node>;
  /** What the caller gets after a run, by the name it is asked for. */
  readonly outputs: ReadonlyMap<string, Value>;
}

export const definitionOf = (node: Node): OpDefinition => opDefinitions.get(node.op)!;

/** The node of the list that makes each value. */
export function producersOf(nodes: readonly Node[]): Map<Value, Node> {
  const producers = new Map<Value, Node>();
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node);
  return producers;
}

/** The nodes that read each value, once each, in order. */
export function readersOf(nodes: readonly Node[]): Map<Value, Node[]> {
  const readers = new Map<Value, Node[]>();
  for (const node of nodes) {
    for (const input of new Set(node.inputs)) {
      if (input === undefined) continue;
      const known = readers.get(input);
      if (known === undefined) readers.set(input, [node]);
      else known.push(node);
    }
  }
  return readers;
}

/** The pairs [output, input] of a node that must share memory: updates in place, and accumulators that are present. */
export function requiredAliases(node: Node): (readonly [Value, Value])[] {
  const { updates = [], accumulators = [] } = definitionOf(node);
  const aliases: (readonly [Value, Value])[] = [];
  for (const [output, input] of [...updates, ...accumulators]) {
    const target = node.inputs[input];
    if (target !== undefined) aliases.push([node.outputs[output]!, target]);
  }
  return aliases;
}

/**
 * The persistent value whose memory each value is a new state of (a weight after its update, a gradient of a window);
 * values with a place of their own are not in the map.
 */
export function persistentTargets(nodes: readonly Node[]): Map<Value, Value> {
  const targets = new Map<Value, Value>();
  for (const node of nodes) {
    for (const [output, input] of requiredAliases(node)) {
      const target = input.persistent ? input : targets.get(input);
      if (target !== undefined) targets.set(output, target);
    }
  }
  return targets;
}

/** Drops every node that neither changes a persistent value nor leads to an output. */
export function withoutDeadNodes(program: Program): Program {
  const producers = producersOf(program.nodes);
  const targets = persistentTargets(program.nodes);
  const needed = new Set<Node>();
  const pending = program.nodes.filter((node) =>
    node.outputs.some((output) => output.persistent || targets.has(output)),
  );
  for (const output of program.outputs.values()) pending.push(producers.get(output)!);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    for (const input of node.inputs) {
      const producer = input === undefined ? undefined : producers.get(input);
      if (producer !== undefined) pending.push(producer);
    }
  }
  return { ...program, nodes: program.nodes.filter((node) => needed.has(node)) };
}
