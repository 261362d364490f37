import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import { splitSeed } from '../seed.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike, requireArgument } from './checks.js';

/** The chance of dropping, and what the mask is made from. */
export interface DropoutOptions {
  /** Of dropping an element: from 0 to below 1. */
  readonly probability: number;
  readonly seed: number;
  /** Unique per dropout layer. */
  readonly tensorId: number;
  /** Each step has its own mask; backward and recomputation of that step see the same one. */
  readonly step: Attribute;
}

/** Zeroes elements by chance and scales the others by 1 / (1 - probability). The mask is regenerated, never stored. */
export function dropout(x: Value, { probability, seed, tensorId, step }: DropoutOptions): Value {
  requireAlike('dropout', x);
  requireArgument(
    'dropout',
    'probability',
    probability,
    probability >= 0 && probability < 1,
    'from 0 to below 1',
  );
  const attributes = { probability, ...splitSeed(seed), tensorId, step };
  const [y] = x.graph.apply(dropoutOp, [x], attributes, [{ name: 'y', shape: x.shape, dtype: x.dtype }]);
  return y!;
}

export const dropoutOp: OpDefinition = {
  name: 'dropout',
  recompute: 'cheap',
  pure: true,
  inPlace: [[0, 0]],
  flops: firstInputElements,
  gradient({ node, outputGradients, needs }) {
    if (!needs(0)) return [undefined];
    const dy = outputGradients[0]!;
    const output = { name: 'dx', shape: dy.shape, dtype: dy.dtype };
    return [dy.graph.apply(dropoutOp, [dy], node.attributes, [output])[0]];
  },
};
