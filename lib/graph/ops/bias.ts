import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = x + vector on every row: x (tokens, features), vector (features). */
export function bias(x: Value, vector: Value): Value {
  const [y] = callOp(biasOp, [x, vector]);
  return y!;
}

/** Sum over rows, the gradient of a bias: (tokens, features) to (features). */
export function columnSum(x: Value, gradientDtype: DType): Value {
  const gradient = { dtype: gradientDtype, kind: 'gradient' } as const;
  const [y] = callOp(columnSumOp, [x, undefined], {}, { y: gradient });
  return y!;
}

export const biasOp: OpDefinition = defineOp({
  name: 'bias',
  family: 'elementwise',
  computes: '`x + bias` on every row',
  operands: 'x:T[n,m] bias:T[m] -> y:T[n,m]',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient: ({ outputGradients: [dy], needs, gradientDtype }) => [
    needs(0) ? dy : undefined,
    needs(1) ? columnSum(dy!, gradientDtype) : undefined,
  ],
});

export const columnSumOp: OpDefinition = defineOp({
  name: 'columnSum',
  family: 'elementwise',
  computes: 'sum over rows (the gradient of a bias)',
  operands: 'x:T[n,m] accumulator?:G[m] -> y=accumulator:G[m]',
  attributes: 'accumulate=0',
  recompute: 'costly',
  pure: true,
  flops: firstInputElements,
});
