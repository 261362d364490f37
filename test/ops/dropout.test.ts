import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';

describeOps('dropout', () =>
  [[1], [2, 3], [31], [33, 41], [4097]].flatMap((shape) =>
    [0, 0.1, 0.5, 0.999].flatMap((probability) =>
      [{}, { y: 'x' }].flatMap((inPlace) =>
        opCases({
          op: 'dropout',
          label: `${probability} ${JSON.stringify(inPlace)}`,
          inputs: { x: randomTensor('x', shape) },
          attributes: { probability, seedLow: 0xfedcba98, seedHigh: 7, tensorId: 12, step: 345 },
          inPlace: inPlace as Record<string, string>,
        }),
      ),
    ),
  ),
);
