import { inDtype } from './bf16.js';
import { sumOfSquares } from './optimizers.js';
import { product } from './product.js';
import { dequantize, dequantizeNf4 } from './quantize.js';
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

/** c = a w, or a w^T, of what the codes stand for in the dtype of a. */
export function matmulInt8(
  { a, codes, scales }: { a: Tensor; codes: Tensor; scales: Tensor },
  attributes: Numbers,
  round: Round,
) {
  return { c: productWith(a, dequantize({ codes, scales }, attributes).y, attributes, round) };
}

export function matmulNf4(
  { a, ...matrix }: { a: Tensor; codes: Tensor; magnitudes: Tensor; ranges: Tensor },
  attributes: Numbers,
  round: Round,
) {
  const columns = attributes.transposeB === 1 ? a.shape[1]! : attributes.columns!;
  // In single precision as the op defines it: what is rounded to bf16 must not fall on another side.
  return { c: productWith(a, dequantizeNf4(matrix, { columns }, Math.fround).y, attributes, round) };
}

function productWith(a: Tensor, w: Tensor, { transposeB, elementBytes }: Numbers, round: Round): Tensor {
  return product(a, inDtype(w, elementBytes!), round, false, transposeB === 1);
}
