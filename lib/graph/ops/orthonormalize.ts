import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { requireArgument, requireMatrix } from './checks.js';

/**
 * q: orthonormal columns that span those of x (rows, columns), rows >= columns, in their order. A column that depends on
 * those before it is replaced by a pseudo-random one that does not, so q is orthonormal whatever x is.
 * @param dtype of q; x's unless given
 */
export function orthonormalize(x: Value, dtype: DType = x.dtype): Value {
  requireTall(x);
  const [q] = callOp(orthonormalizeOp, [x], {}, { q: { dtype, kind: x.kind } });
  return q!;
}

/** The same into a persistent tensor of that shape. */
export function orthonormalizePersistent(x: Value, target: Value): void {
  requireTall(x);
  target.graph.overwrite(orthonormalizeOp, [target], {}, [x]);
}

function requireTall(x: Value): void {
  const [rows, columns] = requireMatrix('orthonormalize', x);
  requireArgument('orthonormalize', 'columns', columns, columns <= rows, `at most ${rows}, the rows`);
}

export const orthonormalizeOp: OpDefinition = defineOp({
  name: 'orthonormalize',
  family: 'projection',
  computes:
    'orthonormal columns that span those of x, in their order (`x = q R`, R upper triangular with a positive ' +
    'diagonal), `r <= n`. By three passes of Cholesky QR in fp32: `x^T x = U^T U`, `x U^-1`. A column of which less ' +
    'than `1e-4` of its squared length is left when those before it are taken out depends on them: in its place come ' +
    'uniform numbers from Philox `(counter = (row, column, pass, 0), key = 0)`, which the next pass makes orthogonal',
  operands: 'x:T[n,r] -> q:D[n,r]',
  recompute: 'costly',
  pure: true,
  // Three passes of two products, and a factor with its inverse.
  flops({ inputs: [x] }) {
    const [rows, columns] = x!.shape as [number, number];
    return 3 * columns ** 2 * (4 * rows + columns);
  },
});
