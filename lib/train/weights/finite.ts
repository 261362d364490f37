import { toSingles, type FileDType } from '../../formats/index.js';

/**
 * A number is not finite when all bits of its exponent are set: with the sign masked away, one added to the exponent
 * then carries over into the place of the sign. A word holds two numbers of 16 bits.
 */
const exponents = {
  f32: { mask: 0x7f80_0000, one: 0x0080_0000, carry: 0x8000_0000 },
  bf16: { mask: 0x7f80_7f80, one: 0x0080_0080, carry: 0x8000_8000 },
  f16: { mask: 0x7c00_7c00, one: 0x0400_0400, carry: 0x8000_8000 },
} as const;

const hasInfinities = (dtype: FileDType): dtype is keyof typeof exponents => Object.hasOwn(exponents, dtype);

/** Words that are looked at between two looks at the result. */
const blockWords = 4096;

/**
 * The index of the first NaN or infinity among numbers as they stand in memory, or -1. It costs a fraction of writing
 * the same bytes to a disk: no branch and no conversion for each number.
 */
export function indexOfNotFinite(bytes: Uint8Array, dtype: keyof typeof exponents): number {
  const { mask, one, carry } = exponents[dtype];
  const { buffer, byteOffset, byteLength } = bytes;
  const words = new Uint32Array(buffer, byteOffset, byteLength >> 2);
  const elementBytes = dtype === 'f32' ? 4 : 2;
  for (let begin = 0; begin < words.length; begin += blockWords) {
    const end = Math.min(words.length, begin + blockWords);
    let sum = 0;
    for (let i = begin; i < end; i++) sum |= (words[i]! & mask) + one;
    if ((sum & carry) === 0) continue;
    const block = toSingles(bytes.subarray(4 * begin, 4 * end), dtype);
    return (4 * begin) / elementBytes + block.findIndex((value) => !Number.isFinite(value));
  }
  const rest = byteLength - words.byteLength; // half a word
  if (rest === 0 || Number.isFinite(toSingles(bytes.subarray(-rest), dtype)[0])) return -1;
  return byteLength / elementBytes - 1;
}

/** That number, or undefined; dtypes that have none are all finite. */
export function firstNotFinite(bytes: Uint8Array, dtype: FileDType): number | undefined {
  const index = hasInfinities(dtype) ? indexOfNotFinite(bytes, dtype) : -1;
  if (index < 0) return undefined;
  const elementBytes = dtype === 'f32' ? 4 : 2;
  return toSingles(bytes.subarray(index * elementBytes, (index + 1) * elementBytes), dtype as 'f32')[0];
}
