import type { Graph } from './graph.js';
import type { Node } from './node.js';
import type { OpDefinition } from './op.js';
import { opDefinitions } from './ops/definitions.js';
import type { Value } from './value.js';

/**
 * One entry of a plan on its way through the compiler. Stages take a program and return a new one; nodes are never
 * changed, a stage that gives a node other operands makes a new node with the same outputs. Who makes a value is
 * asked of this list (`producersOf`).
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

/** Everything that is known of the op of a node. */
export const definitionOf = (node: Node): OpDefinition => opDefinitions.get(node.op)!;

/** The node of the list that makes each value. */
export function producersOf(nodes: readonly Node[]): ReadonlyMap<Value, Node> {
  const producers = new Map<Value, Node>();
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node);
  return producers;
}

/** The nodes that read each value, once each, in order. */
export function readersOf(nodes: readonly Node[]): ReadonlyMap<Value, readonly Node[]> {
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

/** The parameters that a program reads, in the order in which they were named. */
export function parametersOf({ graph, nodes }: Program): readonly Value[] {
  const readers = readersOf(nodes);
  return graph.parameters.filter((parameter) => readers.has(parameter));
}

/** The pairs [output, input] of a node that must share memory: updates in place, and accumulators that are present. */
export function requiredAliases(node: Node): (readonly [Value, Value])[] {
  const { updates, accumulators } = definitionOf(node);
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
export function persistentTargets(nodes: readonly Node[]): ReadonlyMap<Value, Value> {
  const targets = new Map<Value, Value>();
  for (const node of nodes) {
    for (const [output, input] of requiredAliases(node)) {
      const target = input.persistent ? input : targets.get(input);
      if (target !== undefined) targets.set(output, target);
    }
  }
  return targets;
}
