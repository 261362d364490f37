import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';

const sizes = [1, 2, 31, 32, 33, 41, 123, 1024, 4097];

describeOps('cast, copy, fill', () =>
  sizes.flatMap((size) => {
    const inputs = { x: randomTensor('x', [size]) };
    return [
      ...opCases({ op: 'cast', inputs }),
      ...opCases({ op: 'cast', label: 'in place', inputs, inPlace: { y: 'x' } }, ['f32 f32', 'bf16 bf16']),
      ...opCases({ op: 'copy', inputs }),
      ...opCases({ op: 'fill', inputs: {}, attributes: { value: -0.3, size } }),
    ];
  }),
);

describeOps('selectRow', () =>
  [
    [1, 1, 0],
    [33, 41, 32],
    [5, 1024, 2],
  ].flatMap(([rows, columns, row]) =>
    opCases({
      op: 'selectRow',
      label: `row ${row}`,
      inputs: { x: randomTensor('x', [rows!, columns!]) },
      attributes: { row: row! },
    }),
  ),
);

describeOps('firstRows', () =>
  [
    [1, 1, 1],
    [33, 41, 3],
    [10, 1025, 5],
    [7, 3, 7],
  ].flatMap(([rows, columns, parts]) => [
    ...opCases({
      op: 'firstRows',
      label: `${parts} parts`,
      inputs: { x: randomTensor('x', [rows!, columns!]) },
      attributes: { outputRows: parts! },
    }),
    ...opCases({
      op: 'firstRowsBackward',
      label: `of ${rows} rows`,
      inputs: { dy: randomTensor('dy', [parts!, columns!]) },
      attributes: { outputRows: rows! },
    }),
  ]),
);

describeOps('randomNormal', () =>
  sizes.flatMap((size) =>
    opCases({
      op: 'randomNormal',
      inputs: {},
      attributes: { seedLow: 42, seedHigh: 0x80000001, tensorId: 9, standardDeviation: 0.02, size },
    }),
  ),
);
