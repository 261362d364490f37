import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike } from './checks.js';

/** y = a + b, element by element. */
export function add(a: Value, b: Value): Value {
  requireAlike('add', a, b);
  const [y] = a.graph.apply(addOp, [a, b], {}, [{ name: 'y', shape: a.shape, dtype: a.dtype, kind: a.kind }]);
  return y!;
}

export const addOp: OpDefinition = {
  name: 'add',
  recompute: 'cheap',
  pure: true,
  inPlace: [
    [0, 0],
    [0, 1],
  ],
  flops: firstInputElements,
  gradient: ({ outputGradients: [dy], needs }) => [needs(0) ? dy : undefined, needs(1) ? dy : undefined],
};
