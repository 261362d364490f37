import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';

const shapes = [[1], [2], [31], [32, 1], [3, 11], [41, 3], [123, 33], [4097]];

describeOps('add, multiply, scale, clip', () =>
  shapes.flatMap((shape) => {
    const inputs = { a: randomTensor('a', shape), b: randomTensor('b', shape) };
    const x = randomTensor('x', shape);
    const places: Record<string, string>[] = [{}, { y: 'a' }, { y: 'b' }];
    return [
      ...['add', 'multiply'].flatMap((op) =>
        places.flatMap((inPlace) => opCases({ op, label: JSON.stringify(inPlace), inputs, inPlace })),
      ),
      ...opCases({ op: 'scale', inputs: { x }, attributes: { factor: -1.7 } }),
      ...opCases({
        op: 'scale',
        label: 'in place',
        inputs: { x },
        attributes: { factor: 3 },
        inPlace: { y: 'x' },
      }),
      ...opCases({ op: 'clip', inputs: { x }, attributes: { limit: 0.3 } }),
      ...opCases({
        op: 'clip',
        label: 'in place',
        inputs: { x },
        attributes: { limit: 0.7 },
        inPlace: { y: 'x' },
      }),
    ];
  }),
);

describeOps('bias and columnSum', () =>
  [
    [1, 1],
    [2, 31],
    [41, 33],
    [123, 32],
    [1024, 3],
    [3, 1025],
  ].flatMap(([rows, columns]) => {
    const x = randomTensor('x', [rows!, columns!]);
    const bias = randomTensor('bias', [columns!]);
    const accumulator = randomTensor('accumulator', [columns!]);
    return [
      ...opCases({ op: 'bias', inputs: { x, bias } }),
      ...opCases({ op: 'bias', label: 'in place', inputs: { x, bias }, inPlace: { y: 'x' } }),
      ...opCases({ op: 'columnSum', inputs: { x } }),
      ...opCases({ op: 'columnSum', label: 'overwriting', inputs: { x, accumulator } }),
      ...opCases({
        op: 'columnSum',
        label: 'added',
        inputs: { x, accumulator },
        attributes: { accumulate: 1 },
      }),
    ];
  }),
);
