import {
  type Node,
  type Program,
  type SiblingKey,
  type Value,
  definitionOf,
  readersOf,
} from '../graph/index.js';
import { dependenciesOf } from './dependencies.js';

/** Members of a group at most (CP_MAX_GROUP in native/backend/backend.h). */
const maxMembers = 4;

/**
 * Moves calls that a target can run as one next to each other, and marks them. Earlier ones go down to the place of the
 * last, and what depends on them follows; everything else keeps its order. Siblings are calls of one op in one layer and
 * phase with equal keys, by the `siblingKey` of their op.
 * @param isGrouped which calls the target can run as one with others of their op
 */
export function group(program: Program, isGrouped: (node: Node) => boolean): Program {
  const grouping = new Grouping(program.nodes, siblings(program.nodes.filter(isGrouped), program));
  for (const node of program.nodes) grouping.reach(node);
  return { ...program, nodes: grouping.nodes, joined: grouping.joined };
}

type Group = readonly Node[];

/** Groups of at least two of the nodes, each in the order of the program. */
function siblings(nodes: readonly Node[], program: Program): Group[] {
  const keyOf = siblingKeys(program);
  const families = new Map<string, Node[]>();
  for (const node of nodes) {
    const key = keyOf(node);
    if (key === undefined) continue;
    const name = JSON.stringify([node.op, node.phase, node.layer, ...key]);
    const family = families.get(name);
    if (family === undefined) families.set(name, [node]);
    else family.push(node);
  }
  return [...families.values()].flatMap((family) => {
    const groups: Group[] = [];
    for (let first = 0; first + 1 < family.length; first += maxMembers)
      groups.push(family.slice(first, first + maxMembers));
    return groups;
  });
}

function siblingKeys({ nodes }: Program): (node: Node) => SiblingKey | undefined {
  const readers = readersOf(nodes);
  const keyOf = (node: Node) => definitionOf(node).siblingKey?.(node, keyOfReader);
  function keyOfReader(value: Value): SiblingKey | undefined {
    for (const reader of readers.get(value) ?? []) {
      const key = keyOf(reader);
      if (key !== undefined) return key;
    }
    return undefined;
  }
  return keyOf;
}

/** Emits nodes in their old order, but for groups, which wait until all of their members can run. */
class Grouping {
  readonly nodes: Node[] = [];
  readonly joined = new Set<Node>();
  readonly #dependencies: ReadonlyMap<Node, readonly Node[]>;
  readonly #groups = new Map<Node, Group>();
  readonly #emitted = new Set<Node>();
  #waiting: Node[] = [];

  constructor(nodes: readonly Node[], groups: readonly Group[]) {
    this.#dependencies = dependenciesOf(nodes);
    for (const members of groups) for (const member of members) this.#groups.set(member, members);
  }

  /** Every node must be reached, in the old order. */
  reach(node: Node): void {
    this.#waiting.push(node);
    const members = this.#membersOf(node);
    if (members.at(-1) !== node) return;
    if (members.length > 1 && this.#dependsOnItself(members))
      for (const member of members) this.#groups.delete(member);
    while (this.#waiting.some((waiting) => this.#emitIfReady(waiting)));
  }

  #membersOf(node: Node): Group {
    return this.#groups.get(node) ?? [node];
  }

  #emitIfReady(node: Node): boolean {
    const members = this.#membersOf(node);
    const isReady = members.every(
      (member) =>
        this.#waiting.includes(member) &&
        this.#dependencies.get(member)!.every((dependency) => this.#emitted.has(dependency)),
    );
    if (!isReady) return false;
    for (const [index, member] of members.entries()) {
      this.nodes.push(member);
      this.#emitted.add(member);
      if (index > 0) this.joined.add(member);
    }
    this.#waiting = this.#waiting.filter((waiting) => !this.#emitted.has(waiting));
    return true;
  }

  /** Whether one member waits for another, perhaps by way of other groups. */
  #dependsOnItself(members: Group): boolean {
    const seen = new Set<Node>(members);
    const pending = [...members];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (const dependency of this.#dependencies.get(node)!) {
        if (this.#emitted.has(dependency)) continue;
        if (members.includes(dependency)) return true;
        for (const other of this.#membersOf(dependency)) {
          if (seen.has(other)) continue;
          seen.add(other);
          pending.push(other);
        }
      }
    }
    return false;
  }
}
