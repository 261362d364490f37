// Eight-bit floats E4M3 (OCP 8-bit Floating Point Specification, revision 1.0, 2023) with a scale for each group: next to a
// group's largest magnitude they are coarser than int8, and for numbers much smaller than it finer.
import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireShape } from './checks.js';
import { numGroups, type Quantized } from './quantize.js';

/** Eight bits per element: scale = max|x| / 448, and the E4M3 nearest to x / scale, per group of consecutive elements. */
export function quantizeFp8(x: Value, groupSize: number): Quantized {
  const [codes, scales] = callOp(
    quantizeFp8Op,
    [x],
    { groupSize },
    {
      codes: { kind: 'compressedActivation' },
      scales: { shape: [numGroups('quantizeFp8', x, groupSize)], kind: 'compressedActivation' },
    },
  );
  return { codes: codes!, scales: scales! };
}

/** y = float scale, in `dtype` and shaped as the codes, with the group size of `quantizeFp8`. */
export function dequantizeFp8({ codes, scales }: Quantized, groupSize: number, dtype: DType): Value {
  requireShape('dequantizeFp8', scales, [numGroups('dequantizeFp8', codes, groupSize)]);
  const [y] = callOp(dequantizeFp8Op, [codes, scales], { groupSize }, { y: { dtype } });
  return y!;
}

export const quantizeFp8Op: OpDefinition = defineOp({
  name: 'quantizeFp8',
  family: 'quantization',
  computes:
    'per group of `groupSize` consecutive elements: `scale = max|x| / 448`, `code` of the E4M3 nearest to `x / scale`, ' +
    'ties to even; the last group may be short; `g = ceil(e / groupSize)`',
  operands: 'x:T[#e] -> codes:u8[#e] scales:f32[g]',
  attributes: 'groupSize',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
});

export const dequantizeFp8Op: OpDefinition = defineOp({
  name: 'dequantizeFp8',
  family: 'quantization',
  computes: '`y = e4m3 * scale` of its group',
  operands: 'codes:u8[#e] scales:f32[g] -> y:T[#e]',
  attributes: 'groupSize',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
});
