import {
  definitionOf,
  numElements,
  quantizePersistent,
  type Quantized,
  type Value,
} from '../../graph/index.js';
import type { WeightFormat } from './weights.js';

/** Weights that share a scale, as in Q-GaLore (Zhang et al. 2024, arXiv 2407.08296). */
export const int8GroupSize = 256;

/** Eight bits a weight, and an eighth of one for its scale; what trains is rounded stochastically. */
export const int8: WeightFormat = {
  read: (node, weight) => definitionOf(node).decoding!.int8(node, codesInPlaceOf(weight), int8GroupSize),
};

/** The codes, which are the parameter then, with their scales. */
function codesInPlaceOf(weight: Value): Quantized {
  const { graph, name, shape, dtype } = weight;
  const { tensorId, ...options } = weight.parameter!;
  return int8Matrix(
    graph.parameter(`${name}.codes`, shape, 'i8', {
      ...options,
      codesOf: {
        shape,
        dtype,
        tensorId,
        encode: (numbers, codes) => quantizePersistent(numbers, int8Matrix(codes), int8GroupSize),
      },
    }),
  );
}

/** Codes with their scales, which have the name of the codes but for its end in every graph. */
export function int8Matrix(codes: Value): Quantized {
  const { graph, name, shape } = codes;
  const groups = Math.ceil(numElements(shape) / int8GroupSize);
  return { codes, scales: graph.state(name.replace(/codes$/, 'scales'), [groups], 'f32', 'parameter') };
}
