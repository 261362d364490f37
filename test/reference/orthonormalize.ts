import { matrixSize, type Round, type Tensor, tensor } from './tensor.js';

/** Q of x = Q R with a positive diagonal of R, by modified Gram-Schmidt: for columns that do not depend on others. */
export function orthonormalize({ x }: { x: Tensor }, _: unknown, round: Round) {
  const [rows, columns] = matrixSize(x);
  const q = tensor(x.shape, x.data);
  const dot = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < rows; i++)
      sum = round(sum + round(q.data[i * columns + a]! * q.data[i * columns + b]!));
    return sum;
  };
  for (let j = 0; j < columns; j++) {
    const length = round(Math.sqrt(dot(j, j)));
    for (let i = 0; i < rows; i++) q.data[i * columns + j] = round(q.data[i * columns + j]! / length);
    for (let k = j + 1; k < columns; k++) {
      const share = dot(j, k);
      for (let i = 0; i < rows; i++)
        q.data[i * columns + k] = round(q.data[i * columns + k]! - round(share * q.data[i * columns + j]!));
    }
  }
  return { q };
}
