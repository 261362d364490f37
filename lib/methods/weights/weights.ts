import {
  type CodedNumbers,
  type Node,
  type Program,
  type Value,
  definitionOf,
  rewrite,
} from '../../graph/index.js';

/** How a weight stands in memory. */
export interface WeightFormat {
  /** The result of a call with its weight in this format; undefined where no op can read it so. */
  read(node: Node, weight: Value): Value | undefined;
}

/** The dtype of the numbers that a parameter stands for, be it in codes, and their number in seeded streams. */
export function numbersOf({ dtype, parameter }: Value): Pick<CodedNumbers, 'dtype' | 'tensorId'> {
  const { codesOf, tensorId } = parameter!;
  return codesOf ?? { dtype, tensorId };
}

/** Puts codes in the place of weights: what reads such a weight decodes it as it reads. */
export const withWeightFormats = (
  forward: Program,
  formatOf: (weight: Value) => WeightFormat | undefined,
): Program =>
  rewrite(forward, (node) => {
    const weight = node.inputs[definitionOf(node).decoding?.weight ?? -1];
    const read = weight?.parameter && formatOf(weight)?.read(node, weight);
    return read && [read];
  });
