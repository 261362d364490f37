import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { firstInputElements, requireAlike, requireDtype, requireMatrix, requireShape } from './checks.js';

/** y = x rstd weight with rstd = 1 / sqrt(mean(x^2) + epsilon): x (tokens, hidden), weight (hidden). */
export function rmsNorm(x: Value, weight: Value, epsilon: number): Value {
  const [tokens, hidden] = requireMatrix('rmsNorm', x);
  requireDtype('rmsNorm', weight, x.dtype);
  requireShape('rmsNorm', weight, [hidden]);
  const [y] = x.graph.apply(rmsNormOp, [x, weight], { epsilon }, [
    { name: 'y', shape: x.shape, dtype: x.dtype },
    { name: 'rstd', shape: [tokens], dtype: 'f32' },
  ]);
  return y!;
}

/** Gradients of input and weight. */
export interface RmsNormGradients {
  /** (tokens, hidden). */
  readonly dx: Value;
  /** (hidden). */
  readonly dWeight: Value;
}

/** Gradients of x, plus `residualGradient` if given, and of weight. */
export function rmsNormBackward(
  operands: Readonly<Record<'x' | 'weight' | 'rstd' | 'dy', Value>> & { readonly residualGradient?: Value },
  gradientDtype: DType,
): RmsNormGradients {
  const { x, weight, rstd, dy, residualGradient } = operands;
  const [tokens, hidden] = requireMatrix('rmsNormBackward', x);
  requireDtype('rmsNormBackward', weight, x.dtype);
  requireShape('rmsNormBackward', weight, [hidden]);
  requireDtype('rmsNormBackward', rstd, 'f32');
  requireShape('rmsNormBackward', rstd, [tokens]);
  requireAlike('rmsNormBackward', x, dy, ...(residualGradient === undefined ? [] : [residualGradient]));
  const [dx, dWeight] = x.graph.apply(
    rmsNormBackwardOp,
    [x, weight, rstd, dy, residualGradient, undefined],
    {},
    [
      { name: 'dx', shape: x.shape, dtype: x.dtype },
      { name: 'dWeight', shape: weight.shape, dtype: gradientDtype, kind: 'gradient' },
    ],
  );
  return { dx: dx!, dWeight: dWeight! };
}

export const rmsNormOp: OpDefinition = {
  name: 'rmsNorm',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 4 * firstInputElements(node),
  gradient({ node, outputGradients, needs, takeGathered, gradientDtype }) {
    const [x, weight] = node.inputs as [Value, Value];
    const { dx, dWeight } = rmsNormBackward(
      {
        x,
        weight,
        rstd: node.outputs[1]!,
        dy: outputGradients[0]!,
        residualGradient: needs(0) ? takeGathered(0) : undefined,
      },
      gradientDtype,
    );
    return [needs(0) ? dx : undefined, needs(1) ? dWeight : undefined];
  },
};

export const rmsNormBackwardOp: OpDefinition = {
  name: 'rmsNormBackward',
  recompute: 'costly',
  pure: true,
  inPlace: [
    [0, 3],
    [0, 4],
  ],
  accumulators: [[1, 5]],
  flops: (node) => 10 * firstInputElements(node),
};
