import { sumOfSquares } from './optimizers.js';
import { accumulated, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

const transposed = (x: Tensor): Tensor => {
  const [rows, columns] = x.shape as [number, number];
  const result = tensor([columns, rows]);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) result.data[j * rows + i] = x.data[i * columns + j]!;
  return result;
};

/** (m, k) times (k, n), each optionally stored transposed, summed in ascending k. */
export function product(a: Tensor, b: Tensor, round: Round, transposeA = false, transposeB = false): Tensor {
  const left = transposeA ? transposed(a) : a; // (m, k)
  const right = transposeB ? b : transposed(b); // (n, k)
  const [m, k] = left.shape as [number, number];
  const n = right.shape[0]!;
  const c = tensor([m, n]);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum = round(sum + round(left.data[i * k + l]! * right.data[j * k + l]!));
      c.data[i * n + j] = sum;
    }
  }
  return c;
}

/** c = alpha op(a) op(b), optionally added to the accumulator; squares[squaresIndex] = sum of c^2. */
export function matmul(
  { a, b, accumulator, squares }: { a: Tensor; b: Tensor; accumulator?: Tensor; squares?: Tensor },
  { transposeA, transposeB, alpha, accumulate, squaresIndex }: Numbers,
  round: Round,
) {
  const c = product(a, b, round, transposeA === 1, transposeB === 1);
  const scaled = { shape: c.shape, data: c.data.map((x) => round(x * alpha!)) };
  const result = { c: accumulated(scaled, accumulator, accumulate!, round) };
  if (squares === undefined) return result;
  const { partials } = sumOfSquares({ x: result.c, partials: squares }, { index: squaresIndex! });
  return { ...result, squares: partials };
}
