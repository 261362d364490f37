import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireAlike } from './checks.js';

/** y = factor x. */
export function scale(x: Value, factor: Attribute): Value {
  requireAlike('scale', x);
  const [y] = x.graph.apply(scaleOp, [x], { factor }, [
    { name: 'y', shape: x.shape, dtype: x.dtype, kind: x.kind },
  ]);
  return y!;
}

export const scaleOp: OpDefinition = {
  name: 'scale',
  recompute: 'cheap',
  pure: true,
  inPlace: [[0, 0]],
  flops: firstInputElements,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? scale(outputGradients[0]!, node.attributes.factor!) : undefined,
  ],
};
