import { describeOps } from '../helpers/describe-ops.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';

const shapes: readonly (readonly [m: number, k: number, n: number])[] = [
  [1, 1, 1],
  [2, 1, 33],
  [1, 123, 1],
  [31, 2, 32],
  [32, 33, 31],
  [41, 123, 17],
  [33, 1024, 9],
  [5, 3, 1025],
  [130, 65, 49], // more than one block in each direction
  [9, 4097, 7],
  // Few rows: read where they are stored, by one thread or several, over more columns than one part has.
  [1, 300, 600],
  [2, 129, 515],
  [3, 65, 600],
  [4, 64, 520],
  [1, 4500, 20],
];

function products(): OpCase[] {
  return shapes.flatMap(([m, k, n]) =>
    [0, 1, 2, 3].flatMap((orientation) => {
      const [transposeA, transposeB] = [orientation & 1, orientation >> 1];
      return opCases({
        op: 'matmul',
        label: `${transposeA ? 'a^T' : 'a'} ${transposeB ? 'b^T' : 'b'}`,
        inputs: {
          a: randomTensor('a', transposeA ? [k, m] : [m, k]),
          b: randomTensor('b', transposeB ? [n, k] : [k, n]),
        },
        attributes: { transposeA, transposeB },
      });
    }),
  );
}

describeOps('matmul', products);

describeOps('matmul with alpha and accumulator', () =>
  [
    [33, 41, 31, 1],
    [130, 20, 100, 1],
    [1, 7, 40, 1],
    [3, 41, 90, 0],
  ].flatMap(([m, k, n, transposeA]) =>
    [0, 1].flatMap((accumulate) =>
      opCases({
        op: 'matmul',
        label: accumulate ? 'added' : 'overwriting',
        inputs: {
          a: randomTensor('a', transposeA === 1 ? [k!, m!] : [m!, k!]),
          b: randomTensor('b', [k!, n!]),
          // What is overwritten must not matter, so it is far from the result.
          accumulator: randomTensor('accumulator', [m!, n!], accumulate ? 3 : 1e6),
        },
        attributes: { transposeA: transposeA!, alpha: -0.375, accumulate },
      }),
    ),
  ),
);

// The twin squares what is not rounded to bf16, so c is f32 here; the C++ tests square what is stored, also of long sums.
describeOps('matmul with squares', () =>
  [
    [33, 41, 31],
    [65, 1100, 64], // two parts of the inner dimension on a GPU
    [130, 65, 49],
  ].flatMap(([m, k, n]) =>
    [0, 1].flatMap((accumulate) =>
      opCases(
        {
          op: 'matmul',
          label: accumulate ? 'added' : 'overwriting',
          inputs: {
            a: randomTensor('a', [k!, m!]),
            b: randomTensor('b', [k!, n!]),
            accumulator: randomTensor('accumulator', [m!, n!], 3),
            squares: randomTensor('squares', [5]),
          },
          attributes: { transposeA: 1, accumulate, squaresIndex: 3 },
        },
        ['f32 f32', 'bf16 f32'],
      ),
    ),
  ),
);
