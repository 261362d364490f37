import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireArgument, requireMatrix, requireShape } from './checks.js';

/** Width of a head, and the direction of the rotation. */
export interface RopeOptions {
  readonly headSize: number;
  /** Rotate back: the gradient of the rotation. Default false. */
  readonly inverse?: boolean;
  /** i32 (tokens): the row of the tables of each token. Default: `token mod sequenceLength`. */
  readonly positions?: Value;
  readonly name?: string;
}

/**
 * Rotates the pair (i, i + headSize / 2) of each head of x (tokens, heads * headSize) by the row of its
 * token's position of the tables cos and sin (sequenceLength, headSize / 2), both f32. Positions are checked on the
 * host before a run.
 */
export function rope(x: Value, cos: Value, sin: Value, options: RopeOptions): Value {
  const { headSize, inverse = false, positions, name = 'y' } = options;
  const [, width] = requireMatrix('rope', x);
  const fits = headSize > 0 && headSize % 2 === 0 && width % headSize === 0;
  requireArgument('rope', 'headSize', headSize, fits, `an even divisor of ${width}`);
  requireShape('rope', cos, [undefined, headSize / 2]);
  const attributes = { headSize, inverse: Number(inverse) };
  const [y] = callOp(ropeOp, [x, cos, sin, positions], attributes, { y: { name } });
  return y!;
}

export const ropeOp: OpDefinition = defineOp({
  name: 'rope',
  family: 'layers',
  computes:
    'rotates the pair `(i, i + headSize/2)` of each head by the table row `positions[row]`, without ' +
    'positions `row mod s`; a position out of range is an error, on a GPU the nearest row; `inverse=1` rotates back (the gradient). `d = headSize/2`, `w` a multiple of headSize',
  operands: 'x:T[n,w] cos:f32[s,d] sin:f32[s,d] positions?:i32[n] -> y:T[n,w]',
  attributes: 'headSize inverse=0',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
  siblingKey: ({ inputs: [, cos, sin, positions], attributes }) => [
    cos!.id,
    sin!.id,
    positions?.id,
    attributes.inverse,
  ],
  gradient({ node, outputGradients, needs }) {
    const [, cos, sin, positions] = node.inputs as [Value, Value, Value, Value?];
    const { headSize, inverse } = node.attributes as Record<'headSize' | 'inverse', number>;
    const turnBack = { headSize, inverse: inverse === 0, positions, name: 'dx' };
    return [needs(0) ? rope(outputGradients[0]!, cos, sin, turnBack) : undefined];
  },
});
