import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { type Tensor, tensor } from '../reference/index.js';

function tables(positions: number, headSize: number): { cos: Tensor; sin: Tensor } {
  const d = headSize / 2;
  const angles = Array.from({ length: positions * d }, (_, i) => Math.floor(i / d) * 10000 ** (-(i % d) / d));
  return {
    cos: tensor([positions, d], angles.map(Math.cos)),
    sin: tensor([positions, d], angles.map(Math.sin)),
  };
}

describeOps('rope', () =>
  [
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
);
