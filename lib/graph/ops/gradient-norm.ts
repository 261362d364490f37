// The global norm of all gradients: one sum of squares per gradient, then one node for the norm and the clipping factor.
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, floatDtypes, requireArgument, requireDtype, requireShape } from './checks.js';

/** Writes the sum of squares of x to partials[index]; returns partials, f32 (gradients), updated in place. */
export function sumOfSquares(x: Value, partials: Value, index: number): Value {
  requireDtype('sumOfSquares', x, ...floatDtypes);
  requireDtype('sumOfSquares', partials, 'f32');
  requireShape('sumOfSquares', partials, [undefined]);
  const fits = Number.isSafeInteger(index) && index >= 0 && index < partials.shape[0]!;
  requireArgument('sumOfSquares', 'index', index, fits, `below ${partials.shape[0]!}`);
  const [updated] = x.graph.apply(sumOfSquaresOp, [x, partials], { index }, [
    { name: partials.name, shape: partials.shape, dtype: 'f32', kind: partials.kind },
  ]);
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
  requireDtype('gradientNorm', partials, 'f32');
  requireShape('gradientNorm', partials, [undefined]);
  const [norm, scale] = partials.graph.apply(gradientNormOp, [partials], { maxNorm }, [
    { name: 'norm', shape: [1], dtype: 'f32', kind: 'output' },
    { name: 'scale', shape: [1], dtype: 'f32', kind: 'workspace' },
  ]);
  return { norm: norm!, scale: scale! };
}

export const sumOfSquaresOp: OpDefinition = {
  name: 'sumOfSquares',
  recompute: 'costly',
  pure: false,
  updates: [[0, 1]],
  elementUpdates: [[0, 'index']],
  flops: (node) => 2 * firstInputElements(node),
};

export const gradientNormOp: OpDefinition = {
  name: 'gradientNorm',
  recompute: 'costly',
  pure: true,
  flops: firstInputElements,
};
