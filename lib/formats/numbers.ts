/*
 * Numbers of files as those of a plan, and back. Every conversion is exact where the target has the number, and else
 * rounds once, to nearest, ties to even, as IEEE 754 has it; what is beyond the largest number of the target becomes
 * infinite, which callers refuse.
 */
import type { FileDType } from './file-dtype.js';

/** Types of floating point that are read and written. */
export type FloatDType = Extract<FileDType, 'f64' | 'f32' | 'bf16' | 'f16'>;

/** Bytes of a number of each. */
export const floatBytes: Readonly<Record<FloatDType, number>> = { f64: 8, f32: 4, bf16: 2, f16: 2 };

export const isFloat = (dtype: FileDType): dtype is FloatDType => Object.hasOwn(floatBytes, dtype);

/**
 * The same numbers in another type. The result may share the memory of what is given.
 * @param bytes aligned to its elements, as a new array is
 */
export function convertNumbers(bytes: Uint8Array, from: FloatDType, to: FloatDType): Uint8Array {
  if (from === to) return bytes;
  if (to === 'f64') return bytesOf(Float64Array.from(toSingles(bytes, from as Exclude<FloatDType, 'f64'>)));
  const numbers =
    from === 'f64' ? fromDoubles(doublesOf(bytes), to) : fromSingles(toSingles(bytes, from), to);
  return bytesOf(numbers);
}

type Source = Pick<Uint8Array, 'buffer' | 'byteOffset' | 'byteLength'>;
const bytesOf = ({ buffer, byteOffset, byteLength }: Source): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
const doublesOf = ({ buffer, byteOffset, byteLength }: Source) =>
  new Float64Array(buffer, byteOffset, byteLength / 8);
const singlesOf = ({ buffer, byteOffset, byteLength }: Source) =>
  new Float32Array(buffer, byteOffset, byteLength / 4);
const halvesOf = ({ buffer, byteOffset, byteLength }: Source) =>
  new Uint16Array(buffer, byteOffset, byteLength / 2);
const wordsOf = ({ buffer, byteOffset, byteLength }: Source) =>
  new Uint32Array(buffer, byteOffset, byteLength / 4);

/** Exact for all three. */
export function toSingles(bytes: Uint8Array, from: 'f32' | 'bf16' | 'f16'): Float32Array {
  if (from === 'f32') return singlesOf(bytes);
  const halves = halvesOf(bytes);
  const words = new Uint32Array(halves.length);
  if (from === 'bf16') for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  else for (let i = 0; i < halves.length; i++) words[i] = f16ToF32[halves[i]!]!;
  return singlesOf(words);
}

/** The f32 of every f16, as bits. */
const f16ToF32 = Uint32Array.from({ length: 2 ** 16 }, (_, half) => {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return (sign | 0x7f80_0000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  const subnormal = wordsOf(new Float32Array([fraction * 2 ** -24]))[0]!;
  return (sign | subnormal) >>> 0;
});

function fromSingles(singles: Float32Array, to: 'f32' | 'bf16' | 'f16'): Float32Array | Uint16Array {
  if (to === 'f32') return singles;
  const words = wordsOf(singles);
  const halves = new Uint16Array(words.length);
  if (to === 'f16') for (let i = 0; i < words.length; i++) halves[i] = f16OfBits(words[i]!);
  else
    for (let i = 0; i < words.length; i++) {
      const bits = words[i]!;
      // There is one NaN, as in the kernels: the carry of its rounding could make it a number.
      const isNaN = (bits & 0x7fff_ffff) > 0x7f80_0000;
      halves[i] = isNaN ? 0x7fff : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
    }
  return halves;
}

/** f16 of the bits of an f32. */
function f16OfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  // From 65520 on the nearest f16 is infinite.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  if (magnitude >= 0x3880_0000)
    return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  if (magnitude < 0x3300_0000) return sign;
  // Below the smallest normal number steps are 2^-24: the last bits of the fraction fall away.
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7f_ffff) | 0x80_0000;
  const half = 1 << (shift - 1);
  return sign | ((fraction + half - 1 + ((fraction >>> shift) & 1)) >>> shift);
}

/**
 * By way of f32 rounded to odd, which no second rounding can see (Boldo and Melquiond 2008): its last bit is set
 * wherever it is not exact.
 */
function fromDoubles(doubles: Float64Array, to: 'f32' | 'bf16' | 'f16'): Float32Array | Uint16Array {
  const singles = Float32Array.from(doubles);
  if (to === 'f32') return singles;
  const words = wordsOf(singles);
  for (let i = 0; i < doubles.length; i++) {
    const [exact, rounded] = [Math.abs(doubles[i]!), Math.abs(singles[i]!)];
    if (exact === rounded || !Number.isFinite(rounded)) continue;
    if ((words[i]! & 1) === 0) words[i]! += exact > rounded ? 1 : -1;
  }
  return fromSingles(singles, to);
}
