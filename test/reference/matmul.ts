import { sumOfSquares } from './optimizers.js';
import { product } from './product.js';
import { accumulated, type Numbers, type Round, type Tensor } from './tensor.js';

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
