import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = a + b, element by element. */
export function add(a: Value, b: Value): Value {
  const [y] = callOp(addOp, [a, b], {}, { y: { kind: a.kind } });
  return y!;
}

export const addOp: OpDefinition = defineOp({
  name: 'add',
  family: 'elementwise',
  computes: '`a + b`',
  operands: 'a:T[#e] b:T[#e] -> y:T[#e]',
  mayShare: 'y=a y=b',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient: ({ outputGradients: [dy], needs }) => [needs(0) ? dy : undefined, needs(1) ? dy : undefined],
});
