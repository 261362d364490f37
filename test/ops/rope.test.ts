import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { type Tensor, tensor } from '../reference/index.js';

function tables(positions: number, headSize: number): { cos: Tensor; sin: Tensor } {
  const d = headSize / 2;
  const angles = Array.from({ length: positions * d }, (_, i) => Math.floor(i / d) * 10000 ** (-(i % d) / d));
  return {
    cos: tensor([positions, d], angles.map(Math.cos)),
    sin: tensor([positions, d], angles.map(Math.sin)),
  };
}

/** No position is that of the row. */
const givenPositions = opCases({
  op: 'rope',
  label: 'given positions',
  inputs: {
    x: randomTensor('x', [45, 2 * 12]),
    ...tables(31, 12),
    positions: randomIntegers('positions', [45], 31),
  },
  attributes: { headSize: 12, inverse: 0 },
});

describeOps('rope', () => [
  ...givenPositions,
  ...[
    [1, 1, 2, 1],
    [31, 31, 6, 2],
    [66, 33, 8, 3],
    [123, 41, 64, 2],
    [4, 2, 128, 5],
    [1024, 256, 10, 1],
  ].flatMap(([tokens, positions, headSize, heads]) =>
    [0, 1].flatMap((inverse) =>
      [{}, { y: 'x' }].flatMap((inPlace) =>
        opCases({
          op: 'rope',
          label: `${inverse ? 'back' : 'forth'}${'y' in inPlace ? ' in place' : ''}, head size ${headSize}`,
          inputs: {
            x: randomTensor('x', [tokens!, heads! * headSize!]),
            ...tables(positions!, headSize!),
          },
          attributes: { headSize: headSize!, inverse },
          inPlace: inPlace as Record<string, string>,
        }),
      ),
    ),
  ),
]);
