import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { firstInputElements, floatDtypes, requireDtype } from './checks.js';

/** The same numbers in another floating-point dtype, rounded to nearest even. */
export function cast(x: Value, dtype: DType): Value {
  requireDtype('cast', x, ...floatDtypes);
  const [y] = x.graph.apply(castOp, [x], {}, [{ name: 'y', shape: x.shape, dtype, kind: x.kind }]);
  return y!;
}

export const castOp: OpDefinition = {
  name: 'cast',
  recompute: 'cheap',
  pure: true,
  // Only where both dtypes have the same width; the compiler compares bytes.
  inPlace: [[0, 0]],
  flops: firstInputElements,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? cast(outputGradients[0]!, node.inputs[0]!.dtype) : undefined,
  ],
};
