/*
 * Codes of weights that come from a file, made on the host while they are read, so that no whole weight exists in numbers
 * anywhere. They are those of the ops `quantize` and `quantizeNf4`, to the bit: operations on fp32 in the same order,
 * each rounded as there (a quotient or a difference of two fp32 that is first rounded to double rounds to the same fp32).
 */
import { int8GroupSize } from './int8.js';

// Looked up once: in the contexts of test runners every access to a global costs more than the operation.
const { abs, ceil, fround, max, min } = Math;

/** Adding it leaves no bits behind the point: what is added rounds to a whole number, half to even. */
const wholeNumbers = 1.5 * 2 ** 52;
const roundHalfToEven = (x: number): number => x + wholeNumbers - wholeNumbers;

const largestMagnitude = (numbers: Float32Array, begin: number, end: number): number => {
  let largest = 0;
  for (let i = begin; i < end; i++) {
    const magnitude = abs(numbers[i]!);
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
};

/** Consecutive weights in codes, with what belongs to them, each from the start of a tensor's part. */
export interface Int8Codes {
  /** As many as weights. */
  readonly codes: Int8Array;
  /** One for each 256 weights. */
  readonly scales: Float32Array;
}

/** @param numbers finite, from the start of a group on */
export function encodeInt8(numbers: Float32Array): Int8Codes {
  const codes = new Int8Array(numbers.length);
  const scales = new Float32Array(ceil(numbers.length / int8GroupSize));
  for (let group = 0; group < scales.length; group++) {
    const begin = group * int8GroupSize;
    const end = min(numbers.length, begin + int8GroupSize);
    scales[group] = largestMagnitude(numbers, begin, end) / 127;
    const scale = scales[group]!;
    if (scale === 0) continue;
    for (let i = begin; i < end; i++)
      // A subnormal scale may have been rounded down by much.
      codes[i] = max(-127, min(127, roundHalfToEven(fround(numbers[i]! / scale))));
  }
  return { codes, scales };
}

/** Weights that share a magnitude. */
export const weightsPerBlock = 64;
/** Magnitudes that share a range. */
export const blocksPerSpan = 256;
/** Weights that share a range. */
export const nf4Span = weightsPerBlock * blocksPerSpan;

/** As the authors publish them (Dettmers et al. 2023, arXiv 2305.14314, appendix E). */
export const nf4Levels = Float32Array.of(
  ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635],
  ...[-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725],
  ...[0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941],
  ...[0.7229568362236023, 1],
);
const zeroCode = nf4Levels.indexOf(0);
/** Between each level and the next. */
const middles = Float32Array.from({ length: 15 }, (_, i) => 0.5 * fround(nf4Levels[i]! + nf4Levels[i + 1]!));

/** The nearest level of a number in [-1, 1]: how many middles are below it. */
function nf4Code(x: number): number {
  let code = x > middles[7]! ? 8 : 0;
  if (x > middles[code + 3]!) code += 4;
  if (x > middles[code + 1]!) code += 2;
  return x > middles[code]! ? code + 1 : code;
}

/** The same in NF4. */
export interface Nf4Codes {
  /** Half as many as weights: two codes a byte, the first in the lower half. */
  readonly codes: Uint8Array;
  /** 256 for each span of 16384 weights. */
  readonly magnitudes: Uint8Array;
  /** Two for each span: smallest magnitude, and step. */
  readonly ranges: Float32Array;
}

/** @param numbers finite, of rows of an even number, from the start of a span on */
export function encodeNf4(numbers: Float32Array): Nf4Codes {
  const spans = ceil(numbers.length / nf4Span);
  const codes = new Uint8Array(numbers.length / 2);
  const magnitudes = new Uint8Array(spans * blocksPerSpan);
  const ranges = new Float32Array(2 * spans);
  for (let span = 0; span < spans; span++) {
    const begin = span * nf4Span;
    const end = min(numbers.length, begin + nf4Span);
    const ofBlocks = new Float32Array(ceil((end - begin) / weightsPerBlock));
    for (let block = 0; block < ofBlocks.length; block++) {
      const first = begin + block * weightsPerBlock;
      ofBlocks[block] = encodeBlock(numbers, first, min(end, first + weightsPerBlock), codes);
    }
    const smallest = ofBlocks.reduce((least, magnitude) => min(least, magnitude), Infinity);
    const largest = ofBlocks.reduce((most, magnitude) => max(most, magnitude), 0);
    ranges[2 * span] = smallest;
    ranges[2 * span + 1] = fround(largest - smallest) / 255;
    const step = ranges[2 * span + 1]!;
    if (step === 0) continue;
    for (let block = 0; block < ofBlocks.length; block++) {
      const steps = fround(fround(ofBlocks[block]! - smallest) / step);
      magnitudes[span * blocksPerSpan + block] = min(255, roundHalfToEven(steps));
    }
  }
  return { codes, magnitudes, ranges };
}

/** Fills the codes of a block; returns its magnitude. */
function encodeBlock(numbers: Float32Array, begin: number, end: number, codes: Uint8Array): number {
  const magnitude = largestMagnitude(numbers, begin, end);
  for (let i = begin; i < end; i += 2) {
    const first = magnitude === 0 ? zeroCode : nf4Code(fround(numbers[i]! / magnitude));
    const second = magnitude === 0 ? zeroCode : nf4Code(fround(numbers[i + 1]! / magnitude));
    codes[i / 2] = first | (second << 4);
  }
  return magnitude;
}
