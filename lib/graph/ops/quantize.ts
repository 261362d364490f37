import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import { numElements, type DType, type Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireArgument, requireShape } from './checks.js';

/** A tensor in eight bits per element. */
export interface Quantized {
  /** Shaped as the original: i8, or u8 that hold eight-bit floats. */
  readonly codes: Value;
  /** F32 (groups). */
  readonly scales: Value;
}

/** Eight bits per element: scale = max|x| / 127 and code = round(x / scale) per group of consecutive elements. */
export function quantize(x: Value, groupSize: number): Quantized {
  const [codes, scales] = callOp(
    quantizeOp,
    [x],
    { groupSize },
    {
      codes: { kind: 'compressedActivation' },
      scales: { shape: [numGroups('quantize', x, groupSize)], kind: 'compressedActivation' },
    },
  );
  return { codes: codes!, scales: scales! };
}

/** The same into persistent values. */
export function quantizePersistent(x: Value, { codes, scales }: Quantized, groupSize: number): void {
  requireShape('quantize', scales, [numGroups('quantize', x, groupSize)]);
  x.graph.overwrite(quantizeOp, [codes, scales], { groupSize }, [x]);
}

/** y = code scale, in `dtype` and shaped as the codes, with the group size of `quantize`. */
export function dequantize({ codes, scales }: Quantized, groupSize: number, dtype: DType): Value {
  requireShape('dequantize', scales, [numGroups('dequantize', codes, groupSize)]);
  const [y] = callOp(dequantizeOp, [codes, scales], { groupSize }, { y: { dtype } });
  return y!;
}

/** Of a matrix that ops decode as they read it. */
export function requireGroups(op: string, { codes, scales }: Quantized, groupSize: number): void {
  const isPower = Number.isSafeInteger(groupSize) && groupSize > 0 && Number.isInteger(Math.log2(groupSize));
  requireArgument(op, 'groupSize', groupSize, isPower, 'a power of two');
  requireShape(op, codes, [undefined, undefined]);
  requireShape(op, scales, [numGroups(op, codes, groupSize)]);
}

/** Groups of the elements of a value, the last of which may be short. */
export function numGroups(op: string, value: Value, groupSize: number): number {
  requireArgument(
    op,
    'groupSize',
    groupSize,
    Number.isSafeInteger(groupSize) && groupSize > 0,
    'a positive whole number',
  );
  return Math.ceil(numElements(value.shape) / groupSize);
}

export const quantizeOp: OpDefinition = defineOp({
  name: 'quantize',
  family: 'quantization',
  computes:
    'per group of `groupSize` consecutive elements: `scale = max|x| / 127`, `code = round(x / scale)` ' +
    'half to even; the last group may be short; `g = ceil(e / groupSize)`',
  operands: 'x:T[#e] -> codes:i8[#e] scales:f32[g]',
  attributes: 'groupSize',
  recompute: 'cheap',
  pure: true,
  passesGradient: true,
  flops: (node) => 3 * firstInputElements(node),
});

export const dequantizeOp: OpDefinition = defineOp({
  name: 'dequantize',
  family: 'quantization',
  computes: '`y = code * scale` of its group',
  operands: 'codes:i8[#e] scales:f32[g] -> y:T[#e]',
  attributes: 'groupSize',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
});
