import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = factor x. */
export function scale(x: Value, factor: Attribute): Value {
  const [y] = callOp(scaleOp, [x], { factor }, { y: { kind: x.kind } });
  return y!;
}

export const scaleOp: OpDefinition = defineOp({
  name: 'scale',
  family: 'elementwise',
  computes: '`factor * x`',
  operands: 'x:T[#e] -> y:T[#e]',
  attributes: 'factor',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? scale(outputGradients[0]!, node.attributes.factor!) : undefined,
  ],
});
