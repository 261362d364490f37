/** Sums, products and sums over rows. */
import { accumulated, mapElements, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

export const add = ({ a, b }: { a: Tensor; b: Tensor }, _: Numbers, round: Round) => ({
  y: mapElements(a, (value, i) => round(value + b.data[i]!)),
});

export const multiply = ({ a, b }: { a: Tensor; b: Tensor }, _: Numbers, round: Round) => ({
  y: mapElements(a, (value, i) => round(value * b.data[i]!)),
});

export const scale = ({ x }: { x: Tensor }, { factor }: Numbers, round: Round) => ({
  y: mapElements(x, (value) => round(round(factor!) * value)),
});

/** NaN stays NaN, which Math.min and Math.max give for it. */
export const clip = ({ x }: { x: Tensor }, { limit }: Numbers, round: Round) => ({
  y: mapElements(x, (value) => Math.min(round(limit!), Math.max(-round(limit!), value))),
});

/** x + bias on every row. */
export const bias = ({ x, bias: row }: { x: Tensor; bias: Tensor }, _: Numbers, round: Round) => ({
  y: mapElements(x, (value, i) => round(value + row.data[i % row.data.length]!)),
});

/** Sum over rows: the gradient of a bias. */
export function columnSum(
  { x, accumulator }: { x: Tensor; accumulator?: Tensor },
  { accumulate }: Numbers,
  round: Round,
) {
  const m = x.shape[1]!;
  const y = tensor([m]);
  x.data.forEach((value, i) => (y.data[i % m] = round(y.data[i % m]! + value)));
  return { y: accumulated(y, accumulator, accumulate!, round) };
}
