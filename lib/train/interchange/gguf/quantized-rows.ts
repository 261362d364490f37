import { convertNumbers } from '../../../formats/index.js';

/** Weights that share a scale, and the bytes of a block: an f16 and as many codes. */
const blockElements = 32;
const blockBytes = 34;
/** From here on the nearest f16 is infinite. */
const largestScale = 65520;

const { abs, floor, fround, max, sign } = Math;

/**
 * Q8_0 of ggml, for elements from the start of a block on: a block's scale is its largest magnitude / 127, stored as f16, a
 * code the number divided by the scale, to the nearest whole number, halves away from zero.
 * @param numbers finite, a whole number of blocks
 * @param refused makes the error for a number that is too large
 */
export function quantizedQ8(numbers: Float32Array, refused: (value: number) => Error): Uint8Array {
  const numBlocks = numbers.length / blockElements;
  const bytes = new Uint8Array(numBlocks * blockBytes);
  const codes = new Int8Array(bytes.buffer);
  const scales = new Float32Array(numBlocks);
  for (let block = 0; block < numBlocks; block++) {
    const begin = block * blockElements;
    let largest = 0;
    for (let i = begin; i < begin + blockElements; i++) largest = max(largest, abs(numbers[i]!));
    scales[block] = largest / 127;
    if (scales[block]! >= largestScale) throw refused(largest);
    const inverse = scales[block] === 0 ? 0 : fround(1 / scales[block]!);
    for (let i = 0; i < blockElements; i++) {
      const scaled = fround(numbers[begin + i]! * inverse);
      codes[block * blockBytes + 2 + i] = sign(scaled) * floor(abs(scaled) + 0.5);
    }
  }
  const halves = convertNumbers(new Uint8Array(scales.buffer), 'f32', 'f16');
  for (let block = 0; block < numBlocks; block++)
    bytes.set(halves.subarray(2 * block, 2 * block + 2), block * blockBytes);
  return bytes;
}
