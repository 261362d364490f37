import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike, requireDtype, requireMatrix, requireShape } from './checks.js';

/** The sum, its norm, and the reciprocal root mean square of each row. */
export interface AddRmsNormOutputs {
  /** (tokens, hidden). */
  readonly sum: Value;
  /** (tokens, hidden). */
  readonly y: Value;
  /** (tokens). */
  readonly rstd: Value;
}

/**
 * sum = a + b and its RMSNorm with `weight` (hidden), to the bits of `add` and `rmsNorm`: a, b (tokens, hidden).
 * Models build the two ops, of which the compiler makes this one once gradients are there; it has no gradient itself.
 */
export function addRmsNorm(a: Value, b: Value, weight: Value, epsilon: number): AddRmsNormOutputs {
  const [tokens, hidden] = requireMatrix('addRmsNorm', a);
  requireAlike('addRmsNorm', a, b);
  requireShape('addRmsNorm', b, a.shape);
  requireDtype('addRmsNorm', weight, a.dtype);
  requireShape('addRmsNorm', weight, [hidden]);
  const [sum, y, rstd] = a.graph.apply(addRmsNormOp, [a, b, weight], { epsilon }, [
    { name: 'sum', shape: a.shape, dtype: a.dtype, kind: a.kind },
    { name: 'y', shape: a.shape, dtype: a.dtype },
    { name: 'rstd', shape: [tokens], dtype: 'f32' },
  ]);
  return { sum: sum!, y: y!, rstd: rstd! };
}

export const addRmsNormOp: OpDefinition = {
  name: 'addRmsNorm',
  recompute: 'cheap',
  pure: true,
  // Two operands that die here leave room for both results, as an addition and a norm apart would.
  inPlace: [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ],
  flops: (node) => 5 * firstInputElements(node),
};
