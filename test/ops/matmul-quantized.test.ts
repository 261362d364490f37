import { describeOps } from '../helpers/describe-ops.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { computeTwin, type Outputs, type Tensor } from '../reference/index.js';

const shapes: readonly (readonly [m: number, rows: number, columns: number])[] = [
  [1, 1, 2],
  [2, 33, 4],
  [41, 123, 18],
  [34, 7, 1],
  [19, 70, 131],
  [33, 130, 66], // groups that lie across rows
  [5, 16, 1026],
  [130, 65, 64],
  [9, 4098, 8], // a long sum
  // Few rows: decoded a piece at a time, by one thread or several.
  [1, 40, 700],
  [4, 70, 514],
  [1, 2, 9000], // rows too long to be decoded whole
];

function products(
  op: string,
  groupSizes: readonly number[],
  quantized: (x: Tensor, groupSize: number) => Outputs,
): OpCase[] {
  return shapes.flatMap(([m, rows, columns]) =>
    groupSizes.flatMap((groupSize) =>
      [0, 1].flatMap((transposeB) =>
        opCases({
          op,
          label: transposeB ? 'a w^T' : 'a w',
          inputs: {
            a: randomTensor('a', [m, transposeB ? columns : rows]),
            ...quantized(randomTensor('w', [rows, columns]), groupSize),
          },
          attributes: { transposeB, groupSize, columns },
        }),
      ),
    ),
  );
}

describeOps('matmulInt8', () =>
  products('matmulInt8', [32, 256], (x, groupSize) => computeTwin('quantize', { x }, { groupSize })),
);

describeOps('matmulNf4', () => products('matmulNf4', [64], (x) => computeTwin('quantizeNf4', { x }, {})));
