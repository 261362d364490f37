import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';
import { roundingAttributes } from './project.js';
import type { Quantized } from './quantize.js';

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

/** The same of a weight in int8 (`quantize`), codes and scales in place, always rounded stochastically. */
export function weightUpdateInt8(
  { codes, scales }: Quantized,
  groupSize: number,
  direction: Value,
  options: Omit<WeightUpdateOptions, 'stochasticRounding'> &
    Required<Pick<WeightUpdateOptions, 'stochasticRounding'>>,
): Quantized {
  const { learningRate, updateScale = 1, weightDecay = 0, gradientScale, stochasticRounding } = options;
  const { seed, tensorId, step } = stochasticRounding;
  const attributes = {
    groupSize,
    learningRate,
    updateScale,
    weightDecay,
    step,
    roundingSeed: seed,
    tensorId,
  };
  const inputs = [codes, scales, direction, gradientScale] as const;
  const [newCodes, newScales] = callOp(weightUpdateInt8Op, inputs, attributes);
  return { codes: newCodes!, scales: newScales! };
}

export const weightUpdateInt8Op: OpDefinition = defineOp({
  name: 'weightUpdateInt8',
  family: 'optimizers',
  computes:
    'the same of `w = code * scale`; a group keeps its scale while `64 scale <= max|w| <= 127 scale`, else ' +
    '`scale = max|w| / 127`; `code = floor(w / scale + r / 65536)`, `r` the random number of stochastic rounding at row ' +
    '`group`, column the place within it',
  operands: 'codes:i8[#e] scales:f32[g] direction:D[#e] gradientScale?:f32[1] -> =codes =scales',
  attributes: 'groupSize learningRate updateScale=1 weightDecay=0 step roundingSeed=0 tensorId=0',
  identifiedBy: 'tensorId',
  recompute: 'costly',
  pure: false,
  flops: (node) => 8 * firstInputElements(node),
});

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
