import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = x / (1 + exp(-x)). */
export function silu(x: Value): Value {
  const [y] = callOp(siluOp, [x]);
  return y!;
}

/** Gradient of x, shaped as x, from the gradient of y. */
export function siluBackward(x: Value, dy: Value): Value {
  const [dx] = callOp(siluBackwardOp, [x, dy]);
  return dx!;
}

export const siluOp: OpDefinition = defineOp({
  name: 'silu',
  family: 'layers',
  computes: '`x / (1 + exp(-x))`',
  operands: 'x:T[#e] -> y:T[#e]',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 4 * firstInputElements(node),
  // ReSiLU2 (Yang et al. 2024, arXiv 2406.16282, as their code has it): running sums of -0.0406, 1.0809 and -0.0403.
  slopeSteps: {
    thresholds: [-6.3050461001646445, -0.0008684942046214787, 6.325815242089708],
    slopes: [-0.04060357190528599, 1.040321856624382, 1],
  },
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? siluBackward(node.inputs[0]!, outputGradients[0]!) : undefined,
  ],
});

export const siluBackwardOp: OpDefinition = defineOp({
  name: 'siluBackward',
  family: 'layers',
  computes: '`dy * s * (1 + x * (1 - s))`, `s = 1 / (1 + exp(-x))`',
  operands: 'x:T[#e] dy:T[#e] -> dx:T[#e]',
  mayShare: 'dx=x dx=dy',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 7 * firstInputElements(node),
});
