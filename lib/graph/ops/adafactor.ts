import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import { type DType, numElements, type Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** The second moment of a matrix as the means of its rows and columns, updated in place. A vector is one row. */
export interface FactoredMoment {
  /** F32 (rows). */
  readonly rows: Value;
  /** F32 (columns). */
  readonly columns: Value;
}

/** Constants and scalars of `adafactorDirection`. */
export interface AdafactorDirectionOptions {
  /** The moments' factor at step t is 1 - t^-decayExponent. */
  readonly decayExponent: number;
  /** Added to the squares of gradients. */
  readonly epsilon: number;
  /** Largest root mean square of the direction. */
  readonly clipThreshold: number;
  /** Steps that the moments have seen, this one included. */
  readonly step: Attribute;
  /** Present: the direction is multiplied by this parameter's root mean square, or by `least` where that is more. */
  readonly parameterScale?: { readonly parameter: Value; readonly least: number };
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Of the direction; the gradient's unless given. */
  readonly dtype?: DType;
}

/** Updates the factored moment in place and returns the direction of the step, shaped as the gradient. */
export function adafactorDirection(
  gradient: Value,
  { rows, columns }: FactoredMoment,
  options: AdafactorDirectionOptions,
): Value {
  const { decayExponent, epsilon, clipThreshold, step, parameterScale, gradientScale, dtype } = options;
  const [n, m] = [numElements(rows.shape), numElements(columns.shape)];
  if (n * m !== numElements(gradient.shape))
    throw compactError('ERR_COMPACT_SHAPE', 'adafactorDirection: the moment is of another matrix', {
      op: 'adafactorDirection',
      expected: `row and column means of [${gradient.shape.join(', ')}]`,
      received: `${n} rows, ${m} columns`,
    });
  const [direction] = callOp(
    adafactorDirectionOp,
    [gradient, rows, columns, parameterScale?.parameter, gradientScale],
    { decayExponent, epsilon, clipThreshold, step, leastParameter: parameterScale?.least ?? 0 },
    { direction: { dtype: dtype ?? gradient.dtype, kind: 'gradient' } },
  );
  return direction!;
}

export const adafactorDirectionOp: OpDefinition = defineOp({
  name: 'adafactorDirection',
  family: 'optimizers',
  computes:
    '`b = 1 - step^-decayExponent`; `rows`, `columns` = `b old + (1-b) mean(g^2 + epsilon)` of each row and column; ' +
    '`u = g / sqrt(rows columns / mean(rows))`; `direction = u / max(1, rms(u) / clipThreshold)`, times ' +
    '`max(leastParameter, rms(parameter))` where that is given',
  operands:
    'gradient:G[#e] rows:f32[n] columns:f32[m] parameter?:W[#w] gradientScale?:f32[1] -> direction:D[#e] ' +
    '=rows =columns',
  attributes: 'decayExponent epsilon clipThreshold step leastParameter=0',
  mayShare: 'direction=gradient',
  recompute: 'costly',
  pure: false,
  flops: (node) => 12 * firstInputElements(node),
});
