import { type Node, type Program, opDefinitions } from '../graph/index.js';

/** Ops that do the work of two, by the names of the two. */
const fusions: ReadonlyMap<string, string> = new Map(
  [...opDefinitions.values()].flatMap(({ name, fusionOf }) =>
    fusionOf === undefined ? [] : [[fusionOf.map((part) => part.name).join(), name] as const],
  ),
);

/**
 * Makes one node of two that follow on each other in forward, where there is an op that does the work of both: of a
 * residual addition and the norm of the sum, which then need not be read from memory. The values stay the same ones,
 * each of the layer that made it; the node is the second one's.
 *
 * Comes after recomputation: what backward builds again is the norm alone, of a sum that was kept. Nodes with another
 * between them stay apart, and so do those whose results the caller gets: together they could need more memory at a
 * time than one after the other.
 */
export function fuse(program: Program): Program {
  const results = new Set(program.outputs.values());
  const nodes: Node[] = [];
  for (const node of program.nodes) {
    const previous = nodes.at(-1);
    const fused = previous && fusedOf(previous, node);
    if (fused === undefined || fused.outputs.some((output) => results.has(output))) nodes.push(node);
    else nodes[nodes.length - 1] = fused;
  }
  return { ...program, nodes };
}

/** Both nodes as one, where the second reads what the first makes. */
function fusedOf(first: Node, second: Node): Node | undefined {
  const op = fusions.get([first.op, second.op].join());
  const isForward = first.phase === 'forward' && second.phase === 'forward';
  const [read, ...others] = second.inputs;
  if (op === undefined || !isForward || read !== first.outputs[0]) return undefined;
  return {
    ...second,
    op,
    inputs: [...first.inputs, ...others],
    outputs: [...first.outputs, ...second.outputs],
  };
}
