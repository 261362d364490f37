// Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019): m = b1 m + (1 - b1) g,
// v = b2 v + (1 - b2) g^2, direction = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';
import type { OptimizerState } from './optimizer-state.js';
import { roundingAttributes } from './project.js';

/** The two moving averages of Adam, as the gradient: states that `adamDirection` and `adamW` update in place. */
export interface AdamMoments {
  readonly expAvg: OptimizerState;
  readonly expAvgSq: OptimizerState;
}

/** Constants and scalars of `adamDirection`. */
export interface AdamDirectionOptions {
  readonly beta1: number;
  readonly beta2: number;
  /** Added outside the root. */
  readonly epsilon: number;
  /** Steps that the moments have seen, this one included: the t of their bias corrections. */
  readonly firstMomentStep: Attribute;
  readonly secondMomentStep: Attribute;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Of the direction; the gradient's unless given. */
  readonly dtype?: DType;
}

/** Updates both moments in place and returns the direction of the step, shaped as the gradient. */
export const adamDirection = (gradient: Value, moments: AdamMoments, options: AdamDirectionOptions): Value =>
  adamStep(gradient, moments, options).direction;

/** The direction of a step of Adam, and what its first moment's values are after it. */
export interface AdamStep {
  readonly direction: Value;
  readonly expAvg: Value;
}

/** The same, for what goes on to read the first moment. */
export function adamStep(gradient: Value, moments: AdamMoments, options: AdamDirectionOptions): AdamStep {
  const { gradientScale, dtype = gradient.dtype, ...attributes } = options;
  const { expAvg, expAvgSq } = moments;
  const inputs = [
    gradient,
    expAvg.values,
    expAvgSq.values,
    gradientScale,
    expAvg.scales,
    expAvgSq.scales,
  ] as const;
  const outputs = { direction: { dtype, kind: 'gradient' } } as const;
  const [direction, newExpAvg] = callOp(adamDirectionOp, inputs, attributes, outputs);
  return { direction: direction!, expAvg: newExpAvg! };
}

/** Constants and scalars of `adamW`. */
export interface AdamWOptions {
  readonly learningRate: Attribute;
  /** Multiplies the learning rate, but not the decay. Default 1. */
  readonly updateScale?: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Added outside the root. */
  readonly epsilon: number;
  /** Decoupled. Default 0. */
  readonly weightDecay?: number;
  /** Optimizer step, 1 for the first: the t of the bias corrections. */
  readonly step: Attribute;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Present: round bf16 weights stochastically, from this seed and the step. */
  readonly stochasticRounding?: { readonly seed: number; readonly tensorId: number };
}

/** weight = weight (1 - learningRate weightDecay) - learningRate updateScale direction; weight and moments in place. */
export function adamW(weight: Value, gradient: Value, moments: AdamMoments, options: AdamWOptions): Value {
  const { gradientScale, stochasticRounding, updateScale = 1, weightDecay = 0, step, ...constants } = options;
  const { expAvg, expAvgSq } = moments;
  const rounding = stochasticRounding && { seed: stochasticRounding.seed, step };
  const attributes = {
    ...constants,
    updateScale,
    weightDecay,
    ...roundingAttributes(rounding),
    step,
    tensorId: stochasticRounding?.tensorId ?? 0,
  };
  const inputs = [
    weight,
    gradient,
    expAvg.values,
    expAvgSq.values,
    gradientScale,
    expAvg.scales,
    expAvgSq.scales,
  ] as const;
  const [updated] = callOp(adamWOp, inputs, attributes);
  return updated!;
}

export const adamDirectionOp: OpDefinition = defineOp({
  name: 'adamDirection',
  family: 'optimizers',
  computes:
    '`m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; direction = (m / (1-b1^firstMomentStep)) / (sqrt(v / ' +
    '(1-b2^secondMomentStep)) + epsilon)`',
  operands:
    'gradient:G[#e] expAvg:S|u8[#e] expAvgSq:S|u8[#e] gradientScale?:f32[1] expAvgScales?:f32[b] ' +
    'expAvgSqScales?:f32[b] -> direction:D[#e] =expAvg =expAvgSq =expAvgScales =expAvgSqScales',
  attributes: 'beta1 beta2 epsilon firstMomentStep secondMomentStep',
  mayShare: 'direction=gradient',
  recompute: 'costly',
  pure: false,
  // Directions that one projection carries back belong together.
  siblingKey: ({ outputs: [direction] }, keyOfReader) => keyOfReader(direction!),
  flops: (node) => 11 * firstInputElements(node),
});

export const adamWOp: OpDefinition = defineOp({
  name: 'adamW',
  family: 'optimizers',
  computes:
    '`adamDirection` with one `step`, then `w = w (1 - learningRate*weightDecay) - ' +
    'learningRate*updateScale*direction`',
  operands:
    'weight:W[#e] gradient:G[#e] expAvg:S|u8[#e] expAvgSq:S|u8[#e] gradientScale?:f32[1] ' +
    'expAvgScales?:f32[b] expAvgSqScales?:f32[b] -> =weight =expAvg =expAvgSq =expAvgScales =expAvgSqScales',
  attributes:
    'learningRate updateScale=1 beta1 beta2 epsilon weightDecay=0 step stochasticRounding=0 ' +
    'roundingSeed=0 tensorId=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  flops: (node) => 14 * firstInputElements(node),
});
