// Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019): m = b1 m + (1 - b1) g,
// v = b2 v + (1 - b2) g^2, direction = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import {
  firstInputElements,
  floatDtypes,
  requireAlike,
  requireDtype,
  requireSameElements,
  requireShape,
} from './checks.js';
import { roundingAttributes } from './project.js';

/** The two moving averages of Adam: states that `adamDirection` and `adamW` update in place, f32 or bf16. */
export interface AdamMoments {
  /** First moment, as the gradient. */
  readonly expAvg: Value;
  /** Second moment, as the gradient. */
  readonly expAvgSq: Value;
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
export function adamDirection(gradient: Value, moments: AdamMoments, options: AdamDirectionOptions): Value {
  const { gradientScale, dtype = gradient.dtype, ...attributes } = options;
  const { expAvg, expAvgSq } = moments;
  checkOperands('adamDirection', gradient, moments, gradientScale);
  const [direction] = gradient.graph.apply(
    adamDirectionOp,
    [gradient, expAvg, expAvgSq, gradientScale],
    attributes,
    [
      { name: 'direction', shape: gradient.shape, dtype, kind: 'gradient' },
      { name: expAvg.name, shape: expAvg.shape, dtype: expAvg.dtype, kind: expAvg.kind },
      { name: expAvgSq.name, shape: expAvgSq.shape, dtype: expAvgSq.dtype, kind: expAvgSq.kind },
    ],
  );
  return direction!;
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
  requireDtype('adamW', weight, ...floatDtypes);
  requireSameElements('adamW', weight, gradient);
  checkOperands('adamW', gradient, moments, gradientScale);
  const rounding = stochasticRounding && { seed: stochasticRounding.seed, step };
  const attributes = {
    ...constants,
    updateScale,
    weightDecay,
    ...roundingAttributes(rounding),
    step,
    tensorId: stochasticRounding?.tensorId ?? 0,
  };
  const [updated] = weight.graph.apply(
    adamWOp,
    [weight, gradient, expAvg, expAvgSq, gradientScale],
    attributes,
    [weight, expAvg, expAvgSq].map(({ name, shape, dtype, kind }) => ({ name, shape, dtype, kind })),
  );
  return updated!;
}

function checkOperands(
  op: string,
  gradient: Value,
  { expAvg, expAvgSq }: AdamMoments,
  gradientScale?: Value,
): void {
  requireDtype(op, gradient, ...floatDtypes);
  requireSameElements(op, gradient, expAvg);
  requireAlike(op, expAvg, expAvgSq);
  if (gradientScale === undefined) return;
  requireDtype(op, gradientScale, 'f32');
  requireShape(op, gradientScale, [1]);
}

export const adamDirectionOp: OpDefinition = {
  name: 'adamDirection',
  recompute: 'costly',
  pure: false,
  updates: [
    [1, 1],
    [2, 2],
  ],
  inPlace: [[0, 0]],
  flops: (node) => 11 * firstInputElements(node),
};

export const adamWOp: OpDefinition = {
  name: 'adamW',
  recompute: 'costly',
  pure: false,
  updates: [
    [0, 0],
    [1, 2],
    [2, 3],
  ],
  flops: (node) => 14 * firstInputElements(node),
};
