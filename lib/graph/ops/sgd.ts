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
  /** Multiplies the learning rate, but not the decay. Default 1. */
  readonly updateScale?: number;
  /** The state of the moving sum, as the gradient, and its factor; absent: plain gradient descent. */
  readonly momentum?: { readonly buffer: Value; readonly factor: number };
  /** Looks one step ahead, where there is momentum. Default false. */
  readonly nesterov?: boolean;
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

/**
 * buffer = factor buffer + gradient; weight = weight (1 - learningRate weightDecay) - learningRate updateScale
 * direction; in place. The direction is that of `momentum` without dampening.
 */
export function sgd(weight: Value, gradient: Value, options: SgdOptions): Value {
  const { learningRate, updateScale = 1, momentum, nesterov = false, weightDecay = 0 } = options;
  const { gradientScale, stochasticRounding } = options;
  const attributes: Attributes = {
    learningRate,
    updateScale,
    momentumFactor: momentum?.factor ?? 0,
    nesterov: Number(nesterov),
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
    '`momentum` without dampening (`direction = g` without a buffer), then `w = w (1 - learningRate*weightDecay) - ' +
    'learningRate*updateScale*direction`',
  operands: 'weight:W[#e] gradient:G[#e] momentum?:S[#e] gradientScale?:f32[1] -> =weight =momentum',
  attributes:
    'learningRate updateScale=1 momentumFactor=0 nesterov=0 weightDecay=0 step=0 stochasticRounding=0 ' +
    'roundingSeed=0 tensorId=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  flops: (node) => 5 * firstInputElements(node),
});
