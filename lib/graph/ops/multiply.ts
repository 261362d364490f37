import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = a b, element by element. */
export function multiply(a: Value, b: Value): Value {
  const [y] = callOp(multiplyOp, [a, b]);
  return y!;
}

export const multiplyOp: OpDefinition = defineOp({
  name: 'multiply',
  family: 'elementwise',
  computes: '`a * b`',
  operands: 'a:T[#e] b:T[#e] -> y:T[#e]',
  mayShare: 'y=a y=b',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient({ node, outputGradients, needs }) {
    const [a, b] = node.inputs as [Value, Value];
    const dy = outputGradients[0]!;
    return [needs(0) ? multiply(dy, b) : undefined, needs(1) ? multiply(dy, a) : undefined];
  },
});
