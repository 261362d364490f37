import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { computeTwin, mapElements } from '../reference/index.js';

for (const [encode, decode] of [
  ['quantize', 'dequantize'],
  ['quantizeFp8', 'dequantizeFp8'],
] as const)
  describeOps(`${encode} and ${decode}`, () =>
    [[1], [2], [33], [3, 41], [8, 128], [4097]].flatMap((shape) =>
      [1, 32, 41, 128].flatMap((groupSize) => {
        // Some groups are all zero, and some numbers much smaller than others of their group.
        const x = mapElements(randomTensor('x', shape), (value, i) =>
          i % 256 < 128 ? value / 2 ** (i % 14) : 0,
        );
        const { codes, scales } = computeTwin(encode, { x }, { groupSize });
        const label = `groups of ${groupSize}`;
        return [
          ...opCases({ op: encode, label, inputs: { x }, attributes: { groupSize } }),
          ...opCases({ op: decode, label, inputs: { codes, scales }, attributes: { groupSize } }),
        ];
      }),
    ),
  );

describeOps('quantizeNf4 and dequantizeNf4', () =>
  [
    [1, 2],
    [3, 42],
    [2, 1],
    [5, 63],
    [7, 4097], // an odd row, more than one range
    [4, 16],
    [9, 130],
    [2, 8192], // one range to the full
    [33, 514],
  ].flatMap((shape) => {
    // Some blocks are all zero.
    const x = mapElements(randomTensor('x', shape), (value, i) => (i % 512 < 448 ? value * (i % 7) : 0));
    return [
      ...opCases({ op: 'quantizeNf4', inputs: { x } }),
      ...opCases({
        op: 'dequantizeNf4',
        inputs: computeTwin('quantizeNf4', { x }, {}),
        attributes: { columns: shape[1]! },
      }),
    ];
  }),
);
