/**
 * Dynamic tree quantisation of optimizer states (Dettmers et al., 8-bit Optimizers via Block-wise Quantization, 2022,
 * https://arxiv.org/abs/2110.02861): of the bits after the sign, leading zeros are a decimal exponent, a one ends them,
 * and the rest is a linear fraction from 0.1 to 1. Blocks of 256 elements are shares of their largest magnitude.
 */
import { type Round, type Tensor, tensor } from './tensor.js';

export const blockSize = 256;

/** Values of the 256 codes, ascending. Without a sign its bit is one more of the fraction. */
export function dynamicMap(isSigned: boolean): number[] {
  const values = [0, 1];
  for (let exponent = 0; exponent < 7; exponent++) {
    const fractionBits = 6 - exponent + (isSigned ? 0 : 1);
    const fractions = 2 ** fractionBits;
    for (let fraction = 0; fraction < fractions; fraction++) {
      // The mean of the ends of each of the intervals that cut 0.1 ... 1 into equal parts.
      const [low, high] = [fraction, fraction + 1].map((end) => 0.1 + (0.9 * end) / fractions);
      const value = ((low! + high!) / 2) * 10 ** -exponent;
      values.push(...(isSigned ? [-value, value] : [value]));
    }
  }
  return values.toSorted((a, b) => a - b);
}

const maps = { signed: dynamicMap(true), unsigned: dynamicMap(false) };
type Sign = keyof typeof maps;

export const decodedState = (codes: Tensor, scales: Tensor, sign: Sign, round: Round): Tensor => ({
  shape: codes.shape,
  data: codes.data.map((code, i) =>
    round(round(maps[sign][code]!) * scales.data[Math.floor(i / blockSize)]!),
  ),
});

export function encodedState({ shape, data }: Tensor, sign: Sign): { codes: Tensor; scales: Tensor } {
  const blocks = Math.ceil(data.length / blockSize);
  const scales = tensor(
    [blocks],
    Array.from({ length: blocks }, (_, block) =>
      data
        .subarray(block * blockSize, (block + 1) * blockSize)
        .reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
    ),
  );
  const codes = data.map((value, i) =>
    nearest(maps[sign], value / (scales.data[Math.floor(i / blockSize)]! || 1)),
  );
  return { codes: { shape, data: codes }, scales };
}

function nearest(map: readonly number[], value: number): number {
  let [low, high] = [0, map.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (map[middle]! <= value) low = middle;
    else high = middle;
  }
  return Math.abs(map[high]! - value) < Math.abs(map[low]! - value) ? high : low;
}
