import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** Constants of `momentum`. */
export interface MomentumOptions {
  /** What stays of the buffer at each step, from 0 to below 1. */
  readonly factor: number;
  /** What is taken off the gradient; `factor` makes the buffer a moving average. Default 0: a sum. */
  readonly dampening?: number;
  /** Looks one step ahead (Nesterov). Default false. */
  readonly nesterov?: boolean;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Of the direction; the gradient's unless given. */
  readonly dtype?: DType;
}

/**
 * buffer = factor buffer + (1 - dampening) gradient, f32 or bf16, in place; returns the direction, shaped as the
 * gradient: the buffer, or with Nesterov factor buffer + (1 - dampening) gradient (Sutskever et al., ICML 2013).
 * Without a buffer the direction is (1 - dampening) gradient.
 */
export function momentum(gradient: Value, buffer: Value | undefined, options: MomentumOptions): Value {
  const { factor, dampening = 0, nesterov = false, gradientScale, dtype = gradient.dtype } = options;
  const attributes = { factor, dampening, nesterov: Number(nesterov) };
  const [direction] = callOp(momentumOp, [gradient, buffer, gradientScale], attributes, {
    direction: { dtype, kind: 'gradient' },
  });
  return direction!;
}

export const momentumOp: OpDefinition = defineOp({
  name: 'momentum',
  family: 'optimizers',
  computes:
    '`b = factor b + (1-dampening) g; direction = b`, or with `nesterov` `factor b + (1-dampening) g` of the new ' +
    '`b`; without a buffer `direction = (1-dampening) g`',
  operands: 'gradient:G[#e] buffer?:S[#e] gradientScale?:f32[1] -> direction:D[#e] =buffer',
  attributes: 'factor dampening=0 nesterov=0',
  mayShare: 'direction=gradient',
  recompute: 'costly',
  pure: false,
  flops: (node) => 5 * firstInputElements(node),
});
