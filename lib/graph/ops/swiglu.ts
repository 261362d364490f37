import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike } from './checks.js';

/** y = silu(gate) up, element by element; silu(x) = x / (1 + exp(-x)). */
export function swiglu(gate: Value, up: Value): Value {
  requireAlike('swiglu', gate, up);
  const [y] = gate.graph.apply(swigluOp, [gate, up], {}, [
    { name: 'y', shape: gate.shape, dtype: gate.dtype },
  ]);
  return y!;
}

/** Gradients of both operands, each shaped as its operand. */
export interface SwigluGradients {
  readonly dGate: Value;
  readonly dUp: Value;
}

/** Gradients of gate and up from that of y, all of one shape. */
export function swigluBackward(gate: Value, up: Value, dy: Value): SwigluGradients {
  requireAlike('swigluBackward', gate, up, dy);
  const [dGate, dUp] = gate.graph.apply(swigluBackwardOp, [gate, up, dy], {}, [
    { name: 'dGate', shape: gate.shape, dtype: gate.dtype },
    { name: 'dUp', shape: up.shape, dtype: up.dtype },
  ]);
  return { dGate: dGate!, dUp: dUp! };
}

export const swigluOp: OpDefinition = {
  name: 'swiglu',
  recompute: 'cheap',
  pure: true,
  inPlace: [
    [0, 0],
    [0, 1],
  ],
  flops: (node) => 5 * firstInputElements(node),
  gradient({ node, outputGradients, needs }) {
    const [gate, up] = node.inputs as [Value, Value];
    const { dGate, dUp } = swigluBackward(gate, up, outputGradients[0]!);
    return [needs(0) ? dGate : undefined, needs(1) ? dUp : undefined];
  },
};

export const swigluBackwardOp: OpDefinition = {
  name: 'swigluBackward',
  recompute: 'cheap',
  pure: true,
  inPlace: [
    [0, 0],
    [0, 2],
    [1, 1],
    [1, 2],
  ],
  flops: (node) => 10 * firstInputElements(node),
};
