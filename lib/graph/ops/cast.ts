import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/**
 * The same numbers in another floating-point dtype, rounded to nearest even.
 * @param name of the result
 */
export function cast(x: Value, dtype: DType, name = 'y'): Value {
  const [y] = callOp(castOp, [x], {}, { y: { name, dtype, kind: x.kind } });
  return y!;
}

export const castOp: OpDefinition = defineOp({
  name: 'cast',
  family: 'plumbing',
  computes: 'the same numbers in another dtype; in place only where both have the same width',
  operands: 'x:A[#e] -> y:B[#e]',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? cast(outputGradients[0]!, node.inputs[0]!.dtype) : undefined,
  ],
});
