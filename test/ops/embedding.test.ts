import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { computeTwin } from '../reference/index.js';

const shapes: readonly (readonly [vocabulary: number, width: number, tokens: number])[] = [
  [1, 1, 1],
  [2, 33, 41],
  [123, 32, 31],
  [7, 1024, 5],
  [300, 41, 1024],
  [4097, 3, 2],
];

describeOps('embedding', () =>
  shapes.flatMap(([vocabulary, width, tokens]) =>
    opCases({
      op: 'embedding',
      inputs: {
        table: randomTensor('table', [vocabulary, width]),
        ids: randomIntegers('ids', [tokens], vocabulary),
      },
    }),
  ),
);

describeOps('embeddingInt8', () =>
  shapes.flatMap(([vocabulary, width, tokens]) =>
    [32, 256].flatMap((groupSize) =>
      opCases({
        op: 'embeddingInt8',
        inputs: {
          ...computeTwin('quantize', { x: randomTensor('table', [vocabulary, width]) }, { groupSize }),
          ids: randomIntegers('ids', [tokens], vocabulary),
        },
        attributes: { groupSize },
      }),
    ),
  ),
);

describeOps('embeddingBackward', () =>
  shapes.flatMap(([vocabulary, width, tokens]) =>
    [undefined, 0, 1].flatMap((accumulate) =>
      opCases({
        op: 'embeddingBackward',
        label: accumulate === undefined ? 'plain' : accumulate ? 'added' : 'overwriting',
        inputs: {
          ids: randomIntegers('ids', [tokens], vocabulary),
          dy: randomTensor('dy', [tokens, width]),
          ...(accumulate !== undefined && { accumulator: randomTensor('accumulator', [vocabulary, width]) }),
        },
        attributes: { vocabulary, ...(accumulate !== undefined && { accumulate }) },
      }),
    ),
  ),
);

describeOps('embeddingBackward', () =>
  shapes.flatMap(([vocabulary, width, tokens]) => {
    const count = Math.ceil(vocabulary / 3);
    return [0, vocabulary - count].flatMap((first) =>
      opCases({
        op: 'embeddingBackward',
        label: `of ${count} rows from ${first}`,
        inputs: { ids: randomIntegers('ids', [tokens], vocabulary), dy: randomTensor('dy', [tokens, width]) },
        attributes: { vocabulary: count, first, numIds: vocabulary },
      }),
    );
  }),
);
