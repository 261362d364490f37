import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { firstInputElements, requireAlike, requireDtype, requireMatrix, requireShape } from './checks.js';

/** y = (x - mean) rstd weight + bias: x (tokens, hidden), weight and bias (hidden). */
export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  const [tokens, hidden] = requireMatrix('layerNorm', x);
  for (const vector of [weight, bias]) {
    requireDtype('layerNorm', vector, x.dtype);
    requireShape('layerNorm', vector, [hidden]);
  }
  const [y] = x.graph.apply(layerNormOp, [x, weight, bias], { epsilon }, [
    { name: 'y', shape: x.shape, dtype: x.dtype },
    { name: 'mean', shape: [tokens], dtype: 'f32' },
    { name: 'rstd', shape: [tokens], dtype: 'f32' },
  ]);
  return y!;
}

/** Gradients of the three operands. */
export interface LayerNormGradients {
  /** (tokens, hidden). */
  readonly dx: Value;
  /** (hidden). */
  readonly dWeight: Value;
  /** (hidden). */
  readonly dBias: Value;
}

/** Gradients of x (tokens, hidden), and of weight and bias (hidden) in `gradientDtype`; mean and rstd f32 (tokens). */
export function layerNormBackward(
  operands: Readonly<Record<'x' | 'weight' | 'mean' | 'rstd' | 'dy', Value>>,
  gradientDtype: DType,
): LayerNormGradients {
  const { x, weight, mean, rstd, dy } = operands;
  const [tokens, hidden] = requireMatrix('layerNormBackward', x);
  requireDtype('layerNormBackward', weight, x.dtype);
  requireShape('layerNormBackward', weight, [hidden]);
  for (const statistic of [mean, rstd]) {
    requireDtype('layerNormBackward', statistic, 'f32');
    requireShape('layerNormBackward', statistic, [tokens]);
  }
  requireAlike('layerNormBackward', x, dy);
  const [dx, dWeight, dBias] = x.graph.apply(
    layerNormBackwardOp,
    [x, weight, mean, rstd, dy, undefined, undefined],
    {},
    [
      { name: 'dx', shape: x.shape, dtype: x.dtype },
      { name: 'dWeight', shape: weight.shape, dtype: gradientDtype, kind: 'gradient' },
      { name: 'dBias', shape: weight.shape, dtype: gradientDtype, kind: 'gradient' },
    ],
  );
  return { dx: dx!, dWeight: dWeight!, dBias: dBias! };
}

export const layerNormOp: OpDefinition = {
  name: 'layerNorm',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 7 * firstInputElements(node),
  gradient({ node, outputGradients, needs, gradientDtype }) {
    const [x, weight] = node.inputs as [Value, Value];
    const [, mean, rstd] = node.outputs as [Value, Value, Value];
    const operands = { x, weight, mean, rstd, dy: outputGradients[0]! };
    const { dx, dWeight, dBias } = layerNormBackward(operands, gradientDtype);
    return [needs(0) ? dx : undefined, needs(1) ? dWeight : undefined, needs(2) ? dBias : undefined];
  },
};

export const layerNormBackwardOp: OpDefinition = {
  name: 'layerNormBackward',
  recompute: 'costly',
  pure: true,
  accumulators: [
    [1, 5],
    [2, 6],
  ],
  flops: (node) => 14 * firstInputElements(node),
};
