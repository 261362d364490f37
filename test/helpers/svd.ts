/** Singular vectors of small matrices, by Jacobi rotations of the Gram matrix: exact in double precision. */
import { matrixSize, type Tensor, tensor } from '../reference/index.js';

/** The projector Q Q^T on the span of the leading left singular vectors: (rows, rows). */
export function leadingProjector(matrix: Tensor, rank: number): Tensor {
  const [rows] = matrixSize(matrix);
  const { values, vectors } = symmetricEigen(gram(matrix));
  const leading = values
    .map((value, index) => ({ value, index }))
    .toSorted((a, b) => b.value - a.value)
    .slice(0, rank);
  const projector = tensor([rows, rows]);
  for (const { index } of leading)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < rows; j++)
        projector.data[i * rows + j]! += vectors[i]![index]! * vectors[j]![index]!;
  return projector;
}

/** A A^T */
function gram(matrix: Tensor): number[][] {
  const [rows, columns] = matrixSize(matrix);
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: rows }, (__, j) => {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += matrix.data[i * columns + k]! * matrix.data[j * columns + k]!;
      return sum;
    }),
  );
}

/** Cyclic Jacobi; vectors are columns. */
function symmetricEigen(a: number[][]): { values: number[]; vectors: number[][] } {
  const n = a.length;
  const vectors = a.map((_, i) => a.map((__, j) => Number(i === j)));
  for (let sweep = 0; sweep < 40; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p]![q] === 0) continue;
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const [kp, kq] = [a[k]![p]!, a[k]![q]!];
          a[k]![p] = c * kp - s * kq;
          a[k]![q] = s * kp + c * kq;
        }
        for (let k = 0; k < n; k++) {
          const [pk, qk] = [a[p]![k]!, a[q]![k]!];
          a[p]![k] = c * pk - s * qk;
          a[q]![k] = s * pk + c * qk;
          const [vp, vq] = [vectors[k]![p]!, vectors[k]![q]!];
          vectors[k]![p] = c * vp - s * vq;
          vectors[k]![q] = s * vp + c * vq;
        }
      }
    }
  }
  return { values: a.map((row, i) => row[i]!), vectors };
}
