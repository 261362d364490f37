/*
 * The numbers that codes stand for, as the ops `dequantize` and `dequantizeNf4` give them in fp32, to the bit: the same
 * operations in the same order, each rounded to fp32.
 */
import {
  blocksPerSpan,
  nf4Levels,
  nf4Span,
  weightsPerBlock,
  type Int8Codes,
  type Nf4Codes,
} from './encode.js';
import { int8GroupSize } from './int8.js';

const { floor, fround } = Math;

/** @param codes from the start of a group on */
export function decodeInt8({ codes, scales }: Int8Codes): Float32Array {
  const numbers = new Float32Array(codes.length);
  for (let i = 0; i < numbers.length; i++) numbers[i] = codes[i]! * scales[floor(i / int8GroupSize)]!;
  return numbers;
}

/** @param codes of rows of an even number, from the start of a span on */
export function decodeNf4({ codes, magnitudes, ranges }: Nf4Codes): Float32Array {
  const numbers = new Float32Array(2 * codes.length);
  for (let begin = 0; begin < numbers.length; begin += weightsPerBlock) {
    const block = begin / weightsPerBlock;
    const span = floor(block / blocksPerSpan);
    const above = fround(magnitudes[block]! * ranges[2 * span + 1]!);
    const magnitude = fround(ranges[2 * span]! + above);
    const end = Math.min(numbers.length, begin + weightsPerBlock);
    for (let i = begin; i < end; i += 2) {
      const pair = codes[i / 2]!;
      numbers[i] = nf4Levels[pair & 15]! * magnitude;
      numbers[i + 1] = nf4Levels[pair >> 4]! * magnitude;
    }
  }
  return numbers;
}

/** Weights from whose start on codes are decoded: whole groups and spans. */
export const codedRun = { int8: int8GroupSize, nf4: nf4Span } as const;
