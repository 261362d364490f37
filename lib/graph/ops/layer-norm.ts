import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = (x - mean) rstd weight + bias: x (tokens, hidden), weight and bias (hidden). */
export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  const [y] = callOp(layerNormOp, [x, weight, bias], { epsilon });
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
  const inputs = [x, weight, mean, rstd, dy, undefined, undefined] as const;
  const gradient = { dtype: gradientDtype, kind: 'gradient' } as const;
  const outputs = { dWeight: gradient, dBias: gradient };
  const [dx, dWeight, dBias] = callOp(layerNormBackwardOp, inputs, {}, outputs);
  return { dx: dx!, dWeight: dWeight!, dBias: dBias! };
}

export const layerNormOp: OpDefinition = defineOp({
  name: 'layerNorm',
  family: 'layers',
  computes: '`rstd = 1/sqrt(mean((x - mean)^2) + epsilon)`, `y = (x - mean) * rstd * weight + bias`',
  operands: 'x:T[n,h] weight:T[h] bias:T[h] -> y:T[n,h] mean:f32[n] rstd:f32[n]',
  attributes: 'epsilon',
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
});

export const layerNormBackwardOp: OpDefinition = defineOp({
  name: 'layerNormBackward',
  family: 'layers',
  computes:
    'with `xhat = (x - mean) * rstd`: `dx = rstd*(dy*weight - mean(dy*weight) - ' +
    'xhat*mean(dy*weight*xhat))`, `dWeight = sum over rows of dy*xhat`, `dBias = sum over rows of dy`',
  operands:
    'x:T[n,h] weight:T[h] mean:f32[n] rstd:f32[n] dy:T[n,h] accumulator?:G[h] biasAccumulator?:G[h] -> ' +
    'dx:T[n,h] dWeight=accumulator:G[h] dBias=biasAccumulator:G[h]',
  attributes: 'accumulate=0',
  recompute: 'costly',
  pure: true,
  flops: (node) => 14 * firstInputElements(node),
});
