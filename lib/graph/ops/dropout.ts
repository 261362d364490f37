import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import { splitSeed } from '../seed.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireArgument } from './checks.js';

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
  requireArgument(
    'dropout',
    'probability',
    probability,
    probability >= 0 && probability < 1,
    'from 0 to below 1',
  );
  const [y] = callOp(dropoutOp, [x], { probability, ...splitSeed(seed), tensorId, step });
  return y!;
}

export const dropoutOp: OpDefinition = defineOp({
  name: 'dropout',
  family: 'layers',
  computes:
    'keeps an element with probability `1 - probability`, scaled by `1/(1-probability)`; element `e` ' +
    'uses the 32-bit word `e mod 4` of Philox `(counter = (e/4 low, e/4 high, tensorId, step))` and is ' +
    'kept when `word >= probability * 2^32`. Its own gradient',
  operands: 'x:T[#e] -> y:T[#e]',
  attributes: 'probability seedLow seedHigh tensorId step',
  mayShare: 'y=x',
  identifiedBy: 'tensorId',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0)
      ? callOp(dropoutOp, [outputGradients[0]!], node.attributes, { y: { name: 'dx' } })[0]
      : undefined,
  ],
});
