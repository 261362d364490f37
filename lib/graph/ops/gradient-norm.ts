// The global norm of all gradients: one sum of squares per gradient, then one node for the norm and the clipping factor.
import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireArgument } from './checks.js';

/** Writes the sum of squares of x to partials[index]; returns partials, f32 (gradients), updated in place. */
export function sumOfSquares(x: Value, partials: Value, index: number): Value {
  const fits = Number.isSafeInteger(index) && index >= 0 && index < partials.shape[0]!;
  requireArgument('sumOfSquares', 'index', index, fits, `below ${partials.shape[0]!}`);
  const [updated] = callOp(sumOfSquaresOp, [x, partials], { index });
  return updated!;
}

/** The global norm, and the factor that clips by it. */
export interface GradientNorm {
  /** F32 (1). */
  readonly norm: Value;
  /** F32 (1). */
  readonly scale: Value;
}

/** norm = sqrt(sum of partials), scale = min(1, maxNorm / (norm + 1e-6)), or 1 when maxNorm is not positive. */
export function gradientNorm(partials: Value, maxNorm: Attribute): GradientNorm {
  const [norm, scale] = callOp(
    gradientNormOp,
    [partials],
    { maxNorm },
    {
      norm: { kind: 'output' },
      scale: { kind: 'workspace' },
    },
  );
  return { norm: norm!, scale: scale! };
}

export const sumOfSquaresOp: OpDefinition = defineOp({
  name: 'sumOfSquares',
  family: 'optimizers',
  computes: 'writes the sum of squares of x to `partials[index]`, fp64 inside, fixed order',
  operands: 'x:T[#e] partials:f32[p] -> =partials[index]',
  attributes: 'index',
  recompute: 'costly',
  pure: false,
  flops: (node) => 2 * firstInputElements(node),
});

export const gradientNormOp: OpDefinition = defineOp({
  name: 'gradientNorm',
  family: 'optimizers',
  computes:
    '`norm = sqrt(sum partials)`, `scale = min(1, maxNorm / (norm + 1e-6))`; `maxNorm <= 0` gives scale 1',
  operands: 'partials:f32[p] -> norm:f32[1] scale:f32[1]',
  attributes: 'maxNorm',
  recompute: 'costly',
  pure: true,
  flops: firstInputElements,
});
