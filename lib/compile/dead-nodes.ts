import { type Node, type Program, persistentTargets, producersOf } from '../graph/index.js';

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
