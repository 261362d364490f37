import { bitsOfFloat32, float32OfBits } from './bf16.js';
import { half, philox } from './philox.js';
import { mapElements, matrixSize, type Tensor } from './tensor.js';

export interface StochasticRounding {
  readonly stochasticRounding: number;
  readonly roundingSeed: number;
  readonly tensorId: number;
  readonly step: number;
}

/**
 * bf16 values that are right on average: the 16 bits that bf16 drops are compared with 16 random bits, half
 * column mod 8 of Philox (counter = (column / 8, row, tensorId with the top bit set, step), key = (seed, 0)).
 * Returns x unchanged when the attribute is 0.
 */
export function stochasticallyRounded(
  x: Tensor,
  { stochasticRounding, roundingSeed, tensorId, step }: StochasticRounding,
): Tensor {
  if (stochasticRounding === 0) return x;
  const [, columns] = matrixSize(x);
  return mapElements(x, (value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const words = philox([Math.floor(column / 8), row, tensorId | 0x80000000, step], [roundingSeed, 0]);
    const bits = bitsOfFloat32(value);
    const up = (bits & 0xffff) + half(words, column % 8) >= 65536 ? 0x10000 : 0;
    return float32OfBits(((bits & 0xffff0000) + up) >>> 0);
  });
}
