import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';
import { roundingAttributes } from './project.js';

/** Constants and scalars of `sgd`. */
export interface SgdOptions {
  readonly learningRate: Attribute;
  /** The state of the moving sum, as the gradient, and its factor; absent: plain gradient descent. */
  readonly momentum?: { readonly buffer: Value; readonly factor: number };
  readonly weightDecay?: number;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Present: round bf16 weights stochastically, from this seed and the step. */
  readonly stochasticRounding?: {
    readonly seed: number;
    readonly tensorId: number;
    readonly step: Attribute;
  };
}

/** buffer = factor buffer + gradient; weight = weight (1 - learningRate weightDecay) - learningRate buffer; in place. */
export function sgd(weight: Value, gradient: Value, options: SgdOptions): Value {
  const { learningRate, momentum, weightDecay = 0, gradientScale, stochasticRounding } = options;
  const attributes: Attributes = {
    learningRate,
    momentumFactor: momentum?.factor ?? 0,
    weightDecay,
    ...roundingAttributes(stochasticRounding),
    tensorId: stochasticRounding?.tensorId ?? 0,
  };
  const [updated] = callOp(sgdOp, [weight, gradient, momentum?.buffer, gradientScale], attributes);
  return updated!;
}

export const sgdOp: OpDefinition = defineOp({
  name: 'sgd',
  family: 'optimizers',
  computes:
    '`b = momentumFactor b + g` (or `g` without momentum), `w = w (1 - learningRate*weightDecay) - ' +
    'learningRate*b`',
  operands: 'weight:W[#e] gradient:G[#e] momentum?:S[#e] gradientScale?:f32[1] -> =weight =momentum',
  attributes:
    'learningRate momentumFactor=0 weightDecay=0 step=0 stochasticRounding=0 roundingSeed=0 tensorId=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  flops: (node) => 5 * firstInputElements(node),
});
