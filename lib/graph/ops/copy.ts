import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';

/** The same numbers in a place of their own. */
export function copy(x: Value): Value {
  const [y] = callOp(copyOp, [x], {}, { y: { kind: x.kind } });
  return y!;
}

export const copyOp: OpDefinition = defineOp({
  name: 'copy',
  family: 'plumbing',
  computes: 'the same numbers in a place of their own',
  operands: 'x:T[#e] -> y:T[#e]',
  recompute: 'cheap',
  // Two copies of one value are wanted as two.
  pure: false,
  flops: () => 0,
  gradient: ({ outputGradients: [dy], needs }) => [needs(0) ? dy : undefined],
});
