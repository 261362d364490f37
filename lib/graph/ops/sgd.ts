import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import {
  firstInputElements,
  floatDtypes,
  requireDtype,
  requireSameElements,
  requireShape,
} from './checks.js';
import { roundingAttributes } from './project.js';

/** Constants and scalars of `sgd`. */
export interface SgdOptions {
  readonly learningRate: Attribute;
  /** The state of the moving sum, as the gradient, and its factor; absent: plain gradient descent. */
  readonly momentum?: { readonly buffer: Value; readonly factor: number };
  readonly weightDecay?: number;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
  /** Present: round bf16 weights stochastically, from this seed and the step. */
  readonly stochasticRounding?: {
    readonly seed: number;
    readonly tensorId: number;
    readonly step: Attribute;
  };
}

/** buffer = factor buffer + gradient; weight = weight (1 - learningRate weightDecay) - learningRate buffer; in place. */
export function sgd(weight: Value, gradient: Value, options: SgdOptions): Value {
  const { learningRate, momentum, weightDecay = 0, gradientScale, stochasticRounding } = options;
  const buffer = momentum?.buffer;
  requireDtype('sgd', weight, ...floatDtypes);
  requireDtype('sgd', gradient, ...floatDtypes);
  requireSameElements('sgd', weight, gradient);
  if (buffer !== undefined) {
    requireDtype('sgd', buffer, ...floatDtypes);
    requireSameElements('sgd', gradient, buffer);
  }
  if (gradientScale !== undefined) {
    requireDtype('sgd', gradientScale, 'f32');
    requireShape('sgd', gradientScale, [1]);
  }
  const attributes: Attributes = {
    learningRate,
    momentumFactor: momentum?.factor ?? 0,
    weightDecay,
    ...roundingAttributes(stochasticRounding),
    tensorId: stochasticRounding?.tensorId ?? 0,
  };
  const updated = buffer === undefined ? [weight] : [weight, buffer];
  const [result] = weight.graph.apply(
    sgdOp,
    [weight, gradient, buffer, gradientScale],
    attributes,
    updated.map(({ name, shape, dtype, kind }) => ({ name, shape, dtype, kind })),
  );
  return result!;
}

export const sgdOp: OpDefinition = {
  name: 'sgd',
  recompute: 'costly',
  pure: false,
  // The second output is absent, as its input, when there is no momentum.
  updates: [
    [0, 0],
    [1, 2],
  ],
  flops: (node) => 5 * firstInputElements(node),
};
