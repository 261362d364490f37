import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike } from './checks.js';

/** Which of the two forms of GELU. */
export interface GeluOptions {
  /** The tanh form instead of the exact one with erf. Default false. */
  readonly approximate?: boolean;
}

/** y = x Phi(x), Phi the normal distribution function. */
export function gelu(x: Value, { approximate = false }: GeluOptions = {}): Value {
  requireAlike('gelu', x);
  const [y] = x.graph.apply(geluOp, [x], { approximate: Number(approximate) }, [
    { name: 'y', shape: x.shape, dtype: x.dtype },
  ]);
  return y!;
}

/** Gradient of x, shaped as x, from the gradient of y. */
export function geluBackward(x: Value, dy: Value, { approximate = false }: GeluOptions = {}): Value {
  requireAlike('geluBackward', x, dy);
  const [dx] = x.graph.apply(geluBackwardOp, [x, dy], { approximate: Number(approximate) }, [
    { name: 'dx', shape: x.shape, dtype: x.dtype },
  ]);
  return dx!;
}

export const geluOp: OpDefinition = {
  name: 'gelu',
  recompute: 'cheap',
  pure: true,
  inPlace: [[0, 0]],
  flops: (node) => 8 * firstInputElements(node),
  gradient: ({ node, outputGradients, needs }) => [
    needs(0)
      ? geluBackward(node.inputs[0]!, outputGradients[0]!, { approximate: node.attributes.approximate === 1 })
      : undefined,
  ],
};

export const geluBackwardOp: OpDefinition = {
  name: 'geluBackward',
  recompute: 'cheap',
  pure: true,
  inPlace: [
    [0, 0],
    [0, 1],
  ],
  flops: (node) => 14 * firstInputElements(node),
};
