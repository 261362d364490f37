import { type Numbers, type Round, type Tensor, tensor } from './tensor.js';

/** Rotary position embedding (https://arxiv.org/abs/2104.09864), pairs (i, i + headSize / 2) of each head. */
export function rope(
  { x, cos, sin, positions }: { x: Tensor; cos: Tensor; sin: Tensor; positions?: Tensor },
  { headSize, inverse }: Numbers,
  round: Round,
) {
  const [n, w] = x.shape as [number, number];
  const [tableRows, d] = cos.shape as [number, number];
  const y = tensor([n, w]);
  for (let row = 0; row < n; row++) {
    const position = positions?.data[row] ?? row % tableRows;
    for (let head = 0; head < w; head += headSize!) {
      for (let i = 0; i < d; i++) {
        const c = cos.data[position * d + i]!;
        const s = sin.data[position * d + i]! * (inverse === 1 ? -1 : 1);
        const first = row * w + head + i;
        const second = first + d;
        const [a, b] = [x.data[first]!, x.data[second]!];
        y.data[first] = round(round(a * c) - round(b * s));
        y.data[second] = round(round(b * c) + round(a * s));
      }
    }
  }
  return { y };
}
