import type { OutputSpec } from '../graph.js';
import type { Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import { outputSpecs } from '../operands.js';
import type { Value } from '../value.js';

/**
 * Adds one call of an op to the graph of its operands.
 * @param outputs by output, what does not follow from the signature or is to be otherwise
 */
export function callOp(
  definition: OpDefinition,
  inputs: readonly [Value, ...(Value | undefined)[]],
  attributes: Attributes = {},
  outputs: Readonly<Record<string, Partial<OutputSpec>>> = {},
): readonly Value[] {
  return inputs[0].graph.apply(definition, inputs, attributes, outputSpecs(definition, inputs, outputs));
}
