import { type Node, type Program, addOp, addRmsNormOp, rmsNormOp } from '../graph/index.js';

/**
 * Makes one node of a residual addition and the norm that follows on it in forward, so that the norm need not read the
 * sum from memory. The values stay the same ones, each of the layer that made it; the node is the norm's.
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
    const isResult = [...(previous?.outputs ?? []), ...node.outputs].some((output) => results.has(output));
    if (previous !== undefined && !isResult && isNormOfSum(node, previous))
      nodes[nodes.length - 1] = addRmsNormOf(previous, node);
    else nodes.push(node);
  }
  return { ...program, nodes };
}

const isNormOfSum = (norm: Node, add: Node): boolean =>
  norm.op === rmsNormOp.name &&
  add.op === addOp.name &&
  norm.phase === 'forward' &&
  add.phase === 'forward' &&
  norm.inputs[0] === add.outputs[0];

const addRmsNormOf = (add: Node, norm: Node): Node => ({
  ...norm,
  op: addRmsNormOp.name,
  inputs: [...add.inputs, norm.inputs[1]],
  outputs: [...add.outputs, ...norm.outputs],
});
