// Backward of an activation function whose slope is taken to be a step function of four values: all that it has to know of
// an input is in which of four segments it lies (Approx-BP, Yang et al., ICML 2024, arXiv 2406.16282).
import { defineOp } from '../define-op.js';
import type { SlopeSteps, OpDefinition } from '../op.js';
import { numElements, type Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireShape } from './checks.js';

/** The segment of each element, U8 (a quarter of the elements): how many thresholds are below it, in two bits. */
export function segments(x: Value, { thresholds }: Pick<SlopeSteps, 'thresholds'>): Value {
  const [threshold1, threshold2, threshold3] = thresholds;
  const shape = [segmentBytes(x)];
  const [codes] = callOp(
    segmentsOp,
    [x],
    { threshold1, threshold2, threshold3 },
    { codes: { shape, kind: 'compressedActivation' } },
  );
  return codes!;
}

/** Dx = dy times the slope of the segment, shaped as dy; zero in the first segment. */
export function segmentsBackward(codes: Value, dy: Value, { slopes }: Pick<SlopeSteps, 'slopes'>): Value {
  requireShape('segmentsBackward', codes, [segmentBytes(dy)]);
  const [slope1, slope2, slope3] = slopes;
  const [dx] = callOp(
    segmentsBackwardOp,
    [codes, dy],
    { slope1, slope2, slope3 },
    { dx: { shape: dy.shape } },
  );
  return dx!;
}

const segmentBytes = ({ shape }: Value): number => Math.ceil(numElements(shape) / 4);

export const segmentsOp: OpDefinition = defineOp({
  name: 'segments',
  family: 'layers',
  computes:
    'how many of three rising thresholds are below an element, in two bits, four a byte, the first in the lowest; ' +
    '`s = ceil(e / 4)`',
  operands: 'x:T[#e] -> codes:u8[s]',
  attributes: 'threshold1 threshold2 threshold3',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
});

export const segmentsBackwardOp: OpDefinition = defineOp({
  name: 'segmentsBackward',
  family: 'layers',
  computes: '`dx = dy * slope` of the segment, `slope = 0` in the first',
  operands: 'codes:u8[s] dy:T[#e] -> dx:T[#e]',
  attributes: 'slope1 slope2 slope3',
  mayShare: 'dx=dy',
  recompute: 'cheap',
  pure: true,
  flops: (node) => numElements(node.outputs[0]!.shape),
});
