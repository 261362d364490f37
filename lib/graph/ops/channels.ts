// Channels of a matrix are its rows, its columns, or all of it as one.
import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import { numElements, type DType, type Value } from '../value.js';
import { columnSum } from './bias.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireMatrix, requireShape } from './checks.js';
import { multiply } from './multiply.js';

/** What a channel is, in the order of their numbers in plans. */
export const channelAxes = ['row', 'column', 'all'] as const;
/** One of `channelAxes`. */
export type ChannelAxis = (typeof channelAxes)[number];

/** What the factors of channels are made from. */
export interface ChannelFactorsOptions {
  readonly axis: ChannelAxis;
  /** f32 (1): length of the step before, 0 before the first; updated in place. */
  readonly previousNorm: Value;
  /** Added to the length of a compressed channel, and to that of the step before. */
  readonly epsilon: number;
  /** A step is at most so many times as long as the one before. */
  readonly growthLimit: number;
  /** f32 (1): multiplies the gradient (clipping). */
  readonly gradientScale?: Value;
}

/**
 * A factor for each channel of a gradient, f32 (channels): |direction| / |compressed|, where the compressed gradient and
 * its direction have the same channels, with what limits the growth of the whole step.
 */
export function channelFactors(
  gradient: Value,
  compressed: Value,
  direction: Value,
  options: ChannelFactorsOptions,
): Value {
  const { axis, previousNorm, epsilon, growthLimit, gradientScale } = options;
  const op = 'channelFactors';
  const channels = channelsOf(op, gradient, axis);
  if (channelsOf(op, compressed, axis) !== channels)
    throw compactError('ERR_COMPACT_SHAPE', `${op}: ${compressed.name} has other channels`, {
      op,
      expected: `${channels} channels`,
      received: `[${compressed.shape.join(', ')}]`,
    });
  const inputs = [gradient, compressed, direction, previousNorm, gradientScale] as const;
  const attributes = { axis: channelAxes.indexOf(axis), epsilon, growthLimit };
  const outputs = { factors: { shape: [channels], kind: 'workspace' } } as const;
  const [factors] = callOp(channelFactorsOp, inputs, attributes, outputs);
  return factors!;
}

/** y = x with each channel multiplied by its factor, f32 (channels). */
export function scaleChannels(x: Value, factors: Value, axis: ChannelAxis): Value {
  requireShape('scaleChannels', factors, [channelsOf('scaleChannels', x, axis)]);
  const attributes = { axis: channelAxes.indexOf(axis) };
  const [y] = callOp(scaleChannelsOp, [x, factors], attributes, { y: { kind: x.kind } });
  return y!;
}

function channelsOf(op: string, matrix: Value, axis: ChannelAxis): number {
  const [rows, columns] = requireMatrix(op, matrix);
  return { row: rows, column: columns, all: 1 }[axis];
}

export const channelFactorsOp: OpDefinition = defineOp({
  name: 'channelFactors',
  family: 'optimizers',
  computes:
    'for each channel (row with `axis=0`, column with 1, all as one with 2) `f = gradientScale*|direction| / ' +
    '(gradientScale*|compressed| + epsilon)`; with `s` the length of `f gradient` and `previousNorm > 0`, `f` and `s` ' +
    'are divided by `max(1, s / (previousNorm + epsilon) / growthLimit)`; `previousNorm = s`',
  operands:
    'gradient:G[n,m] compressed:R[a,b] direction:D[a,b] previousNorm:f32[1] gradientScale?:f32[1] -> factors:f32[c] ' +
    '=previousNorm',
  attributes: 'axis epsilon growthLimit',
  recompute: 'costly',
  pure: false,
  flops: ({ inputs }) => inputs.slice(0, 3).reduce((sum, matrix) => sum + 2 * numElements(matrix!.shape), 0),
});

export const scaleChannelsOp: OpDefinition = defineOp({
  name: 'scaleChannels',
  family: 'elementwise',
  computes: '`y = f x` with the factor of the channel: row with `axis=0`, column with 1, one for all with 2',
  operands: 'x:T[n,m] factors:f32[c] -> y:T[n,m]',
  attributes: 'axis',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient({ node, outputGradients: [dy], needs, gradientDtype }) {
    const [x, factors] = node.inputs as [Value, Value];
    const axis = channelAxes[node.attributes.axis as number]!;
    return [
      needs(0) ? scaleChannels(dy!, factors, axis) : undefined,
      needs(1) ? factorGradient(x, dy!, axis, gradientDtype) : undefined,
    ];
  },
});

function factorGradient(x: Value, dy: Value, axis: ChannelAxis, gradientDtype: DType): Value {
  if (axis !== 'column')
    throw compactError(
      'ERR_COMPACT_OP_UNSUPPORTED',
      `scaleChannels has no gradient of factors of a ${axis}`,
      {
        op: 'scaleChannels',
        expected: 'factors of columns, where they are trained',
        received: axis,
      },
    );
  return columnSum(multiply(dy, x), gradientDtype);
}
