import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { addOp } from './add.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';
import { rmsNormOp } from './rms-norm.js';

/** The sum, its norm, and the reciprocal root mean square of each row. */
export interface AddRmsNormOutputs {
  /** (tokens, hidden). */
  readonly sum: Value;
  /** (tokens, hidden). */
  readonly y: Value;
  /** (tokens). */
  readonly rstd: Value;
}

/**
 * sum = a + b and its RMSNorm with `weight` (hidden), to the bits of `add` and `rmsNorm`: a, b (tokens, hidden).
 * Models build the two ops, of which the compiler makes this one once gradients are there; it has no gradient itself.
 */
export function addRmsNorm(a: Value, b: Value, weight: Value, epsilon: number): AddRmsNormOutputs {
  const [sum, y, rstd] = callOp(addRmsNormOp, [a, b, weight], { epsilon }, { sum: { kind: a.kind } });
  return { sum: sum!, y: y!, rstd: rstd! };
}

export const addRmsNormOp: OpDefinition = defineOp({
  name: 'addRmsNorm',
  family: 'layers',
  computes:
    '`sum = a + b`, rounded to its dtype as `add` rounds it, and the `rmsNorm` of the rounded sum: the ' +
    'bits of the two ops. Made by the compiler, never by models',
  operands: 'a:T[n,h] b:T[n,h] weight:T[h] -> sum:T[n,h] y:T[n,h] rstd:f32[n]',
  attributes: 'epsilon weightOffset=0',
  // Two operands that die here leave room for both results, as an addition and a norm apart would.
  mayShare: 'sum=a sum=b y=a y=b',
  recompute: 'cheap',
  pure: true,
  fusionOf: [addOp, rmsNormOp],
  flops: (node) => 5 * firstInputElements(node),
});
