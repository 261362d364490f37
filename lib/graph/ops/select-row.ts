import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { requireMatrix } from './checks.js';

/** One row of x: (tokens, features) to (1, features). */
export function selectRow(x: Value, row: Attribute): Value {
  const [, features] = requireMatrix('selectRow', x);
  const [y] = x.graph.apply(selectRowOp, [x], { row }, [{ name: 'y', shape: [1, features], dtype: x.dtype }]);
  return y!;
}

export const selectRowOp: OpDefinition = {
  name: 'selectRow',
  recompute: 'cheap',
  pure: true,
  flops: () => 0,
};
