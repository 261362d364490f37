import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';

/** One row of x: (tokens, features) to (1, features). */
export function selectRow(x: Value, row: Attribute): Value {
  const [y] = callOp(selectRowOp, [x], { row });
  return y!;
}

export const selectRowOp: OpDefinition = defineOp({
  name: 'selectRow',
  family: 'plumbing',
  computes: 'one row of x',
  operands: 'x:T[n,h] -> y:T[1,h]',
  attributes: 'row',
  recompute: 'cheap',
  pure: true,
  flops: () => 0,
});
