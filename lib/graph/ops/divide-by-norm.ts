import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireMatrix } from './checks.js';

/** Constants of `divideByNorm`. */
export interface DivideByNormOptions {
  /** Each column by its own l2 norm, or all elements by that of the whole matrix (Frobenius). */
  readonly of: 'columns' | 'matrix';
  /** Smaller norms count as this. */
  readonly epsilon: number;
  /** Multiplies the result. Default 1. */
  readonly factor?: number;
  /** Of the result; default x's. */
  readonly dtype?: DType;
}

/** y = factor x / max(norm, epsilon) of a matrix (rows, columns). */
export function divideByNorm(x: Value, options: DivideByNormOptions): Value {
  const { of, epsilon, factor = 1, dtype = x.dtype } = options;
  requireMatrix('divideByNorm', x);
  const attributes = { ofColumns: Number(of === 'columns'), epsilon, factor };
  const [y] = callOp(divideByNormOp, [x], attributes, { y: { dtype, kind: x.kind } });
  return y!;
}

export const divideByNormOp: OpDefinition = defineOp({
  name: 'divideByNorm',
  family: 'optimizers',
  computes:
    '`factor * x / max(norm, epsilon)`, with the l2 norm of each column (`ofColumns` 1), or of the whole matrix (0)',
  operands: 'x:X[n,m] -> y:Y[n,m]',
  attributes: 'ofColumns epsilon factor=1',
  mayShare: 'y=x',
  recompute: 'costly',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
});
