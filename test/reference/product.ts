import { type Round, type Tensor, tensor } from './tensor.js';

export const transposed = (x: Tensor): Tensor => {
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
