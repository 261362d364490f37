import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';
import { roundingAttributes } from './project.js';

/** Constants and scalars of `weightUpdate`. */
export interface WeightUpdateOptions {
  readonly learningRate: Attribute;
  /** Multiplies the learning rate, but not the decay. Default 1. */
  readonly updateScale?: number;
  /** Decoupled. Default 0. */
  readonly weightDecay?: number;
  /** f32 (1): multiplies the direction (clipping, where the direction is the gradient itself). */
  readonly gradientScale?: Value;
  /** Present: round bf16 weights stochastically, from this seed and the step. */
  readonly stochasticRounding?: {
    readonly seed: number;
    readonly tensorId: number;
    readonly step: Attribute;
  };
}

/** weight = weight (1 - learningRate weightDecay) - learningRate updateScale direction, in place. */
export function weightUpdate(weight: Value, direction: Value, options: WeightUpdateOptions): Value {
  const { learningRate, updateScale = 1, weightDecay = 0, gradientScale, stochasticRounding } = options;
  const attributes = {
    learningRate,
    updateScale,
    weightDecay,
    ...roundingAttributes(stochasticRounding),
    tensorId: stochasticRounding?.tensorId ?? 0,
  };
  const [updated] = callOp(weightUpdateOp, [weight, direction, gradientScale], attributes);
  return updated!;
}

export const weightUpdateOp: OpDefinition = defineOp({
  name: 'weightUpdate',
  family: 'optimizers',
  computes:
    '`w = w (1 - learningRate*weightDecay) - learningRate*updateScale*gradientScale*direction`: the step along a ' +
    'direction that other ops made',
  operands: 'weight:W[#e] direction:D[#e] gradientScale?:f32[1] -> =weight',
  attributes:
    'learningRate updateScale=1 weightDecay=0 step=0 stochasticRounding=0 roundingSeed=0 tensorId=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  flops: (node) => 4 * firstInputElements(node),
});
