import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireArgument, requireDtype, requireMatrix, requireShape } from './checks.js';

/** Width of a head, and the direction of the rotation. */
export interface RopeOptions {
  readonly headSize: number;
  /** Rotate back: the gradient of the rotation. Default false. */
  readonly inverse?: boolean;
  readonly name?: string;
}

/**
 * Rotates the pair (i, i + headSize / 2) of each head of x (tokens, heads * headSize) by row `token mod
 * sequenceLength` of the tables cos and sin (sequenceLength, headSize / 2), both f32.
 */
export function rope(x: Value, cos: Value, sin: Value, options: RopeOptions): Value {
  const { headSize, inverse = false, name = 'y' } = options;
  const [, width] = requireMatrix('rope', x);
  const fits = headSize > 0 && headSize % 2 === 0 && width % headSize === 0;
  requireArgument('rope', 'headSize', headSize, fits, `an even divisor of ${width}`);
  for (const table of [cos, sin]) {
    requireDtype('rope', table, 'f32');
    requireShape('rope', table, [cos.shape[0], headSize / 2]);
  }
  const [y] = x.graph.apply(ropeOp, [x, cos, sin], { headSize, inverse: Number(inverse) }, [
    { name, shape: x.shape, dtype: x.dtype },
  ]);
  return y!;
}

export const ropeOp: OpDefinition = {
  name: 'rope',
  recompute: 'cheap',
  pure: true,
  inPlace: [[0, 0]],
  flops: (node) => 3 * firstInputElements(node),
  gradient({ node, outputGradients, needs }) {
    const [, cos, sin] = node.inputs as [Value, Value, Value];
    const { headSize, inverse } = node.attributes as Record<'headSize' | 'inverse', number>;
    const turnBack = { headSize, inverse: inverse === 0, name: 'dx' };
    return [needs(0) ? rope(outputGradients[0]!, cos, sin, turnBack) : undefined, undefined, undefined];
  },
};
