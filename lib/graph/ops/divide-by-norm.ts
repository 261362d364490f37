import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireMatrix } from './checks.js';

/** Constants of `divideByNorm`. */
export interface DivideByNormOptions {
  /** Each column or row by its own l2 norm, or all elements by that of the whole matrix (Frobenius). */
  readonly of: 'matrix' | 'columns' | 'rows';
  /** Smaller norms count as this. */
  readonly epsilon: number;
  /** Multiplies the result. Default 1. */
  readonly factor?: number;
  /** Of the result; default x's. */
  readonly dtype?: DType;
}

const numbers = { matrix: 0, columns: 1, rows: 2 } as const;

/** y = factor x / max(norm, epsilon) of a matrix (rows, columns). */
export function divideByNorm(x: Value, options: DivideByNormOptions): Value {
  const { of, epsilon, factor = 1, dtype = x.dtype } = options;
  requireMatrix('divideByNorm', x);
  const attributes = { of: numbers[of], epsilon, factor };
  const [y] = callOp(divideByNormOp, [x], attributes, { y: { dtype, kind: x.kind } });
  return y!;
}

export const divideByNormOp: OpDefinition = defineOp({
  name: 'divideByNorm',
  family: 'optimizers',
  computes:
    '`factor * x / max(norm, epsilon)`, with the l2 norm of the whole matrix (`of` 0), of each column (1) or of each row (2)',
  operands: 'x:X[n,m] -> y:Y[n,m]',
  attributes: 'of epsilon factor=1',
  mayShare: 'y=x',
  recompute: 'costly',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
});
