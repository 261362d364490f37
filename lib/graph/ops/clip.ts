import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** Each element of x that is over `limit`, or below -`limit`, becomes that; NaN stays NaN. */
export function clip(x: Value, limit: number): Value {
  const [y] = callOp(clipOp, [x], { limit }, { y: { kind: x.kind } });
  return y!;
}

export const clipOp: OpDefinition = defineOp({
  name: 'clip',
  family: 'elementwise',
  computes: '`min(limit, max(-limit, x))`; NaN stays NaN',
  operands: 'x:T[#e] -> y:T[#e]',
  attributes: 'limit',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 2 * firstInputElements(node),
});
