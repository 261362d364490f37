import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = gelu(gate) up, element by element, with the tanh form of gelu. */
export function geglu(gate: Value, up: Value): Value {
  const [y] = callOp(gegluOp, [gate, up]);
  return y!;
}

/** Gradients of both operands, each shaped as its operand. */
export interface GegluGradients {
  readonly dGate: Value;
  readonly dUp: Value;
}

/** Gradients of gate and up from that of y, all of one shape. */
export function gegluBackward(gate: Value, up: Value, dy: Value): GegluGradients {
  const [dGate, dUp] = callOp(gegluBackwardOp, [gate, up, dy], {}, { dUp: { shape: up.shape } });
  return { dGate: dGate!, dUp: dUp! };
}

export const gegluOp: OpDefinition = defineOp({
  name: 'geglu',
  family: 'layers',
  computes: '`gelu(gate) * up` with the tanh form of `gelu`',
  operands: 'gate:T[#e] up:T[#e] -> y:T[#e]',
  mayShare: 'y=gate y=up',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 9 * firstInputElements(node),
  gradient({ node, outputGradients, needs }) {
    const [gate, up] = node.inputs as [Value, Value];
    const { dGate, dUp } = gegluBackward(gate, up, outputGradients[0]!);
    return [needs(0) ? dGate : undefined, needs(1) ? dUp : undefined];
  },
});

export const gegluBackwardOp: OpDefinition = defineOp({
  name: 'gegluBackward',
  family: 'layers',
  computes: '`dGate` and `dUp`, `gelu(gate)` rebuilt',
  operands: 'gate:T[#e] up:T[#e] dy:T[#e] -> dGate:T[#e] dUp:T[#e]',
  mayShare: 'dGate=gate dGate=dy dUp=up dUp=dy',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 18 * firstInputElements(node),
});
