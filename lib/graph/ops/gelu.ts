import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** Which of the two forms of GELU. */
export interface GeluOptions {
  /** The tanh form instead of the exact one with erf. Default false. */
  readonly approximate?: boolean;
}

/** y = x Phi(x), Phi the normal distribution function. */
export function gelu(x: Value, { approximate = false }: GeluOptions = {}): Value {
  const [y] = callOp(geluOp, [x], { approximate: Number(approximate) });
  return y!;
}

/** Gradient of x, shaped as x, from the gradient of y. */
export function geluBackward(x: Value, dy: Value, { approximate = false }: GeluOptions = {}): Value {
  const [dx] = callOp(geluBackwardOp, [x, dy], { approximate: Number(approximate) });
  return dx!;
}

export const geluOp: OpDefinition = defineOp({
  name: 'gelu',
  family: 'layers',
  computes: '`x Phi(x)`, exact (`erf`), or the tanh form with `approximate=1`',
  operands: 'x:T[#e] -> y:T[#e]',
  attributes: 'approximate=0',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 8 * firstInputElements(node),
  // ReGELU2 (Yang et al. 2024, arXiv 2406.16282, as their code has it): running sums of -0.0492, 1.0980 and -0.0487.
  slopeSteps: {
    thresholds: [-3.1858810036855245, -0.001178821281161997, 3.190832613414926],
    slopes: [-0.04922261145617846, 1.0487405950855513, 1],
  },
  gradient: ({ node, outputGradients, needs }) => [
    needs(0)
      ? geluBackward(node.inputs[0]!, outputGradients[0]!, { approximate: node.attributes.approximate === 1 })
      : undefined,
  ],
});

export const geluBackwardOp: OpDefinition = defineOp({
  name: 'geluBackward',
  family: 'layers',
  computes: '`dy` times the derivative of either form',
  operands: 'x:T[#e] dy:T[#e] -> dx:T[#e]',
  attributes: 'approximate=0',
  mayShare: 'dx=x dx=dy',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 14 * firstInputElements(node),
});
