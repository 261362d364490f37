import type { Node } from './node.js';
import type { Program } from './program.js';
import type { Value } from './value.js';

/**
 * What is read in the place of the outputs of a node, in their order; undefined: the outputs stay. The nodes that a rule
 * builds belong to the layer and phase of the node and may read what the node makes.
 */
export type RewriteRule = (node: Node) => readonly Value[] | undefined;

/**
 * A program in which a rule has replaced values. Nodes come to the rule in order, with inputs that are replaced already;
 * what the rule builds follows on the node. A node that nothing reads any more stays, for the compiler to drop.
 * @example
 * // y = 2 x W in the place of every product y = x W
 * rewrite(program, ({ op, outputs: [y] }) => (op === 'matmul' ? [scale(y, 2)] : undefined));
 */
export function rewrite(program: Program, rule: RewriteRule): Program {
  const { graph } = program;
  const replacements = new Map<Value, Value>();
  const current = (value: Value): Value => replacements.get(value) ?? value;
  const nodes: Node[] = [];
  graph.forgetCalls();
  for (const original of program.nodes) {
    const node = { ...original, inputs: original.inputs.map((input) => input && current(input)) };
    const { result, nodes: built } = graph.collect(() => graph.at(node.layer, node.phase, () => rule(node)));
    nodes.push(node, ...built);
    for (const [index, value] of (result ?? []).entries()) replacements.set(node.outputs[index]!, value);
  }
  const outputs = new Map([...program.outputs].map(([name, value]) => [name, current(value)]));
  return { ...program, nodes, outputs };
}
