import { defineOp } from '../define-op.js';
import type { Graph, OutputSpec } from '../graph.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';

/** A new tensor whose elements all equal `value`. */
export function fill(graph: Graph, output: OutputSpec, value: Attribute): Value {
  return graph.apply(fillOp, [], { value }, [output])[0]!;
}

/** Sets every element of a persistent tensor. */
export function fillPersistent(target: Value, value: Attribute): void {
  target.graph.overwrite(fillOp, [target], { value });
}

export const fillOp: OpDefinition = defineOp({
  name: 'fill',
  family: 'plumbing',
  computes: 'every element is `value`',
  operands: '-> y:T[#e]',
  attributes: 'value',
  recompute: 'cheap',
  // Equal constants are not one tensor: each may be updated in place.
  pure: false,
  flops: () => 0,
});
