import { divideByNorm, matmul, scale, type MatmulOptions, type Value } from '../../graph/index.js';

// X (rows, columns) comes near the orthogonal factor of its singular value decomposition: each iteration is
// X = a X + (b A + c A A) X, with A = X X^T on the smaller side, here A = X^T X and X (b A + c A A) where columns are
// fewer. The coefficients take singular values from 1e-2 .. 1 to about 0.7 .. 1.2 in five iterations rather than
// converge (Jordan et al., Muon, 2024).
const [a, b, c] = [3.4445, -4.775, 2.0315];

/** What is left of a matrix when its singular values are made equal, about `size` each; in the dtype of the matrix. */
export function newtonSchulz(matrix: Value, { steps, size }: { steps: number; size: number }): Value {
  const [rows, columns] = matrix.shape as [number, number];
  const isLeft = rows <= columns;
  let x = divideByNorm(matrix, { of: 'matrix', epsilon: 1e-7 });
  for (let step = 1; step <= steps; step++) {
    const factor = step === steps ? size : 1;
    const gram = product(x, x, isLeft ? { transposeB: true } : { transposeA: true });
    const polynomial = product(gram, gram, { alpha: c, accumulator: scale(gram, b) });
    const operands = isLeft ? ([polynomial, x] as const) : ([x, polynomial] as const);
    x = product(...operands, { alpha: factor, accumulator: scale(x, factor * a) });
  }
  return x;
}

const product = (left: Value, right: Value, options: MatmulOptions): Value =>
  matmul(left, right, { ...options, kind: 'gradient', name: 'orthogonalised' });
