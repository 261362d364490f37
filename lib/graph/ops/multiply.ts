import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike } from './checks.js';

/** y = a b, element by element. */
export function multiply(a: Value, b: Value): Value {
  requireAlike('multiply', a, b);
  const [y] = a.graph.apply(multiplyOp, [a, b], {}, [{ name: 'y', shape: a.shape, dtype: a.dtype }]);
  return y!;
}

export const multiplyOp: OpDefinition = {
  name: 'multiply',
  recompute: 'cheap',
  pure: true,
  inPlace: [
    [0, 0],
    [0, 1],
  ],
  flops: firstInputElements,
  gradient({ node, outputGradients, needs }) {
    const [a, b] = node.inputs as [Value, Value];
    const dy = outputGradients[0]!;
    return [needs(0) ? multiply(dy, b) : undefined, needs(1) ? multiply(dy, a) : undefined];
  },
};
