import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { firstInputElements, requireDtype, requireMatrix, requireShape } from './checks.js';

/** y = x + vector on every row: x (tokens, features), vector (features). */
export function bias(x: Value, vector: Value): Value {
  const [, features] = requireMatrix('bias', x);
  requireDtype('bias', vector, x.dtype);
  requireShape('bias', vector, [features]);
  const [y] = x.graph.apply(biasOp, [x, vector], {}, [{ name: 'y', shape: x.shape, dtype: x.dtype }]);
  return y!;
}

/** Sum over rows, the gradient of a bias: (tokens, features) to (features). */
export function columnSum(x: Value, gradientDtype: DType): Value {
  const [, features] = requireMatrix('columnSum', x);
  const [y] = x.graph.apply(columnSumOp, [x, undefined], {}, [
    { name: 'y', shape: [features], dtype: gradientDtype, kind: 'gradient' },
  ]);
  return y!;
}

export const biasOp: OpDefinition = {
  name: 'bias',
  recompute: 'cheap',
  pure: true,
  inPlace: [[0, 0]],
  flops: firstInputElements,
  gradient: ({ outputGradients: [dy], needs, gradientDtype }) => [
    needs(0) ? dy : undefined,
    needs(1) ? columnSum(dy!, gradientDtype) : undefined,
  ],
};

export const columnSumOp: OpDefinition = {
  name: 'columnSum',
  recompute: 'costly',
  pure: true,
  accumulators: [[0, 1]],
  flops: firstInputElements,
};
