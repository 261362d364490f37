import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = silu(gate) up, element by element; silu(x) = x / (1 + exp(-x)). */
export function swiglu(gate: Value, up: Value): Value {
  const [y] = callOp(swigluOp, [gate, up]);
  return y!;
}

/** Gradients of both operands, each shaped as its operand. */
export interface SwigluGradients {
  readonly dGate: Value;
  readonly dUp: Value;
}

/** Gradients of gate and up from that of y, all of one shape. */
export function swigluBackward(gate: Value, up: Value, dy: Value): SwigluGradients {
  const [dGate, dUp] = callOp(swigluBackwardOp, [gate, up, dy], {}, { dUp: { shape: up.shape } });
  return { dGate: dGate!, dUp: dUp! };
}

export const swigluOp: OpDefinition = defineOp({
  name: 'swiglu',
  family: 'layers',
  computes: '`silu(gate) * up`',
  operands: 'gate:T[#e] up:T[#e] -> y:T[#e]',
  mayShare: 'y=gate y=up',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 5 * firstInputElements(node),
  gradient({ node, outputGradients, needs }) {
    const [gate, up] = node.inputs as [Value, Value];
    const { dGate, dUp } = swigluBackward(gate, up, outputGradients[0]!);
    return [needs(0) ? dGate : undefined, needs(1) ? dUp : undefined];
  },
});

export const swigluBackwardOp: OpDefinition = defineOp({
  name: 'swigluBackward',
  family: 'layers',
  computes: '`dGate` and `dUp`, `silu(gate)` rebuilt',
  operands: 'gate:T[#e] up:T[#e] dy:T[#e] -> dGate:T[#e] dUp:T[#e]',
  mayShare: 'dGate=gate dGate=dy dUp=up dUp=dy',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 10 * firstInputElements(node),
});
