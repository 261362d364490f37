/** bfloat16 as 16-bit patterns, and the exact fp32 steps that the package defines bit by bit. */
import { mapElements, type Tensor } from './tensor.js';

const float32 = new Float32Array(1);
const float32Bits = new Uint32Array(float32.buffer);
const float64 = new Float64Array(1);
const float64Bits = new BigInt64Array(float64.buffer);

export function bitsOfFloat32(x: number): number {
  float32[0] = x;
  return float32Bits[0]!;
}

export function float32OfBits(bits: number): number {
  float32Bits[0] = bits;
  return float32[0]!;
}

/** The bf16 pattern nearest to the fp32 value of x, ties to even; of NaN there is one. */
export function bf16OfFloat32(x: number): number {
  const bits = bitsOfFloat32(x);
  if (Number.isNaN(x)) return 0x7fff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export const float32OfBf16 = (pattern: number): number => float32OfBits((pattern << 16) >>> 0);

/** The value that is left of x after storing it as bf16. */
export const roundToBf16 = (x: number): number => float32OfBf16(bf16OfFloat32(x));

/**
 * a b + c with one rounding to fp32, for fp32 operands. The product is exact in a double; the sum is rounded to odd
 * before it is rounded to fp32, which cannot round twice (Boldo and Melquiond, 2008).
 */
export function fma32(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const back = sum - product;
  const lost = product - (sum - back) + (c - back);
  float64[0] = sum;
  if (lost !== 0 && (float64Bits[0]! & 1n) === 0n) float64Bits[0]! += lost > 0 === sum > 0 ? 1n : -1n;
  return Math.fround(float64[0]);
}

/** What is left of numbers that an op with elements of so many bytes reads. */
export const inDtype = (x: Tensor, elementBytes: number): Tensor =>
  mapElements(x, (value) => (elementBytes === 2 ? roundToBf16(Math.fround(value)) : Math.fround(value)));
