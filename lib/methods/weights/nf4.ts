import {
  definitionOf,
  nf4Shapes,
  quantizeNf4Persistent,
  type Nf4Matrix,
  type Value,
} from '../../graph/index.js';
import type { WeightFormat } from './weights.js';

/** Four bits a weight, 4.13 with all scales, for weights that are not trained. */
export const nf4: WeightFormat = {
  read: (node, weight) => definitionOf(node).decoding!.nf4?.(node, codesInPlaceOf(weight)),
};

/** The codes, which are the parameter then, with their magnitudes and ranges. */
function codesInPlaceOf(weight: Value): Nf4Matrix {
  const { graph, name, dtype } = weight;
  const { tensorId, ...options } = weight.parameter!;
  const shape = weight.shape as readonly [number, number];
  const shapes = nf4Shapes(shape);
  const matrix = (codes: Value): Nf4Matrix => ({
    columns: shape[1],
    codes,
    magnitudes: codes.graph.state(`${name}.magnitudes`, shapes.magnitudes, 'u8', 'parameter'),
    ranges: codes.graph.state(`${name}.ranges`, shapes.ranges, 'f32', 'parameter'),
  });
  return matrix(
    graph.parameter(`${name}.codes`, shapes.codes, 'u8', {
      ...options,
      codesOf: {
        shape,
        dtype,
        tensorId,
        encode: (numbers, codes) => quantizeNf4Persistent(numbers, matrix(codes)),
      },
    }),
  );
}
