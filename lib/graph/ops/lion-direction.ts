import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** Constants of `lionDirection`. */
export interface LionDirectionOptions {
  /** Of the average whose sign is the direction. */
  readonly beta1: number;
  /** Of the average that is kept. */
  readonly beta2: number;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Of the direction; the gradient's unless given. */
  readonly dtype?: DType;
}

/**
 * Returns sign(beta1 average + (1 - beta1) gradient), shaped as the gradient, then average = beta2 average +
 * (1 - beta2) gradient, f32 or bf16, in place (Chen et al. 2023, arXiv 2302.06675, algorithm 2). The sign of 0 is 0.
 */
export function lionDirection(gradient: Value, average: Value, options: LionDirectionOptions): Value {
  const { beta1, beta2, gradientScale, dtype = gradient.dtype } = options;
  const [direction] = callOp(
    lionDirectionOp,
    [gradient, average, gradientScale],
    { beta1, beta2 },
    { direction: { dtype, kind: 'gradient' } },
  );
  return direction!;
}

export const lionDirectionOp: OpDefinition = defineOp({
  name: 'lionDirection',
  family: 'optimizers',
  computes: '`direction = sign(b1 m + (1-b1) g)`, then `m = b2 m + (1-b2) g`',
  operands: 'gradient:G[#e] average:S[#e] gradientScale?:f32[1] -> direction:D[#e] =average',
  attributes: 'beta1 beta2',
  mayShare: 'direction=gradient',
  recompute: 'costly',
  pure: false,
  flops: (node) => 8 * firstInputElements(node),
});
