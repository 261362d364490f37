import type { OpDefinition } from '../op.js';
import { numElements, type DType, type Value } from '../value.js';
import { firstInputElements, floatDtypes, requireArgument, requireDtype, requireShape } from './checks.js';

/** A tensor in eight bits per element. */
export interface Quantized {
  /** I8, shaped as the original. */
  readonly codes: Value;
  /** F32 (groups). */
  readonly scales: Value;
}

/** Eight bits per element: scale = max|x| / 127 and code = round(x / scale) per group of consecutive elements. */
export function quantize(x: Value, groupSize: number): Quantized {
  requireDtype('quantize', x, ...floatDtypes);
  const [codes, scales] = x.graph.apply(quantizeOp, [x], { groupSize }, [
    { name: 'codes', shape: x.shape, dtype: 'i8', kind: 'compressedActivation' },
    {
      name: 'scales',
      shape: [numGroups('quantize', x, groupSize)],
      dtype: 'f32',
      kind: 'compressedActivation',
    },
  ]);
  return { codes: codes!, scales: scales! };
}

/** y = code scale, in `dtype` and shaped as the codes, with the group size of `quantize`. */
export function dequantize({ codes, scales }: Quantized, groupSize: number, dtype: DType): Value {
  requireDtype('dequantize', codes, 'i8');
  requireDtype('dequantize', scales, 'f32');
  requireShape('dequantize', scales, [numGroups('dequantize', codes, groupSize)]);
  const [y] = codes.graph.apply(dequantizeOp, [codes, scales], { groupSize }, [
    { name: 'y', shape: codes.shape, dtype },
  ]);
  return y!;
}

function numGroups(op: string, value: Value, groupSize: number): number {
  requireArgument(
    op,
    'groupSize',
    groupSize,
    Number.isSafeInteger(groupSize) && groupSize > 0,
    'a positive whole number',
  );
  return Math.ceil(numElements(value.shape) / groupSize);
}

export const quantizeOp: OpDefinition = {
  name: 'quantize',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
};

export const dequantizeOp: OpDefinition = {
  name: 'dequantize',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
};
