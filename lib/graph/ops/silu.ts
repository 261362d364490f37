import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike } from './checks.js';

/** y = x / (1 + exp(-x)). */
export function silu(x: Value): Value {
  requireAlike('silu', x);
  const [y] = x.graph.apply(siluOp, [x], {}, [{ name: 'y', shape: x.shape, dtype: x.dtype }]);
  return y!;
}

/** Gradient of x, shaped as x, from the gradient of y. */
export function siluBackward(x: Value, dy: Value): Value {
  requireAlike('siluBackward', x, dy);
  const [dx] = x.graph.apply(siluBackwardOp, [x, dy], {}, [{ name: 'dx', shape: x.shape, dtype: x.dtype }]);
  return dx!;
}

export const siluOp: OpDefinition = {
  name: 'silu',
  recompute: 'cheap',
  pure: true,
  inPlace: [[0, 0]],
  flops: (node) => 4 * firstInputElements(node),
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? siluBackward(node.inputs[0]!, outputGradients[0]!) : undefined,
  ],
};

export const siluBackwardOp: OpDefinition = {
  name: 'siluBackward',
  recompute: 'cheap',
  pure: true,
  inPlace: [
    [0, 0],
    [0, 1],
  ],
  flops: (node) => 7 * firstInputElements(node),
};
