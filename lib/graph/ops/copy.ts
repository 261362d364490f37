import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { floatDtypes, requireDtype } from './checks.js';

/** The same numbers in a place of their own. */
export function copy(x: Value): Value {
  requireDtype('copy', x, ...floatDtypes);
  const [y] = x.graph.apply(copyOp, [x], {}, [{ name: 'y', shape: x.shape, dtype: x.dtype, kind: x.kind }]);
  return y!;
}

export const copyOp: OpDefinition = {
  name: 'copy',
  recompute: 'cheap',
  // Two copies of one value are wanted as two.
  pure: false,
  flops: () => 0,
  gradient: ({ outputGradients: [dy], needs }) => [needs(0) ? dy : undefined],
};
