import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** What the weight of a norm stands for. */
export interface RmsNormOptions {
  /** Added to the weight: 1 where weights are stored as what they differ from 1 by. Default 0. */
  readonly weightOffset?: number;
}

/** y = x rstd weight with rstd = 1 / sqrt(mean(x^2) + epsilon): x (tokens, hidden), weight (hidden). */
export function rmsNorm(
  x: Value,
  weight: Value,
  epsilon: number,
  { weightOffset }: RmsNormOptions = {},
): Value {
  const [y] = callOp(rmsNormOp, [x, weight], { epsilon, ...offsetOf({ weightOffset }) });
  return y!;
}

const offsetOf = ({ weightOffset }: { readonly weightOffset?: Attribute }): Attributes =>
  weightOffset === undefined ? {} : { weightOffset };

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
  { weightOffset }: { readonly weightOffset?: Attribute } = {},
): RmsNormGradients {
  const { x, weight, rstd, dy, residualGradient } = operands;
  const inputs = [x, weight, rstd, dy, residualGradient, undefined] as const;
  const gradient = { dtype: gradientDtype, kind: 'gradient' } as const;
  const attributes = offsetOf({ weightOffset });
  const [dx, dWeight] = callOp(rmsNormBackwardOp, inputs, attributes, { dWeight: gradient });
  return { dx: dx!, dWeight: dWeight! };
}

export const rmsNormOp: OpDefinition = defineOp({
  name: 'rmsNorm',
  family: 'layers',
  computes: '`rstd = 1/sqrt(mean(x^2) + epsilon)`, `y = x * rstd * (weight + weightOffset)`',
  operands: 'x:T[n,h] weight:T[h] -> y:T[n,h] rstd:f32[n]',
  attributes: 'epsilon weightOffset=0',
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
      node.attributes,
    );
    return [needs(0) ? dx : undefined, needs(1) ? dWeight : undefined];
  },
});

export const rmsNormBackwardOp: OpDefinition = defineOp({
  name: 'rmsNormBackward',
  family: 'layers',
  computes:
    '`dx = rstd*(dy*w - x*rstd^2*mean(dy*w*x)) (+ residualGradient)`, `w = weight + weightOffset`, ' +
    '`dWeight = sum over rows of dy*x*rstd`',
  operands:
    'x:T[n,h] weight:T[h] rstd:f32[n] dy:T[n,h] residualGradient?:T[n,h] accumulator?:G[h] -> ' +
    'dx:T[n,h] dWeight=accumulator:G[h]',
  attributes: 'weightOffset=0 accumulate=0',
  mayShare: 'dx=dy dx=residualGradient',
  recompute: 'costly',
  pure: true,
  flops: (node) => 10 * firstInputElements(node),
});
