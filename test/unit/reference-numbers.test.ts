import { describe, expect, test } from '@jest/globals';
import { bitsOfFloat32, bf16OfFloat32, float32OfBf16, float32OfBits, fma32 } from '../reference/bf16.js';
import { philox } from '../reference/philox.js';
import { stochasticallyRounded } from '../reference/stochastic-rounding.js';
import { tensor } from '../reference/tensor.js';

/** Deterministic finite fp32 values over many binades. */
function* float32Values(count: number, smallest: number, largest: number): Generator<number> {
  for (let i = 0; i < count; i++) {
    const [bits, binade] = philox([i, 0, 0, 0], [11, 0]);
    const exponent = smallest + (binade % (largest - smallest + 1));
    yield float32OfBits(((bits & 0x807fffff) | ((exponent + 127) << 23)) >>> 0);
  }
}

/** x as a fraction over 2^300, exact. */
const fixed = (x: number): bigint => {
  const bits = bitsOfFloat32(x);
  const exponent = Math.max((bits >>> 23) & 255, 1);
  const mantissa = BigInt((bits & 0x7fffff) | ((bits >>> 23) & 255 ? 0x800000 : 0));
  return (bits >>> 31 ? -1n : 1n) * (mantissa << BigInt(exponent - 150 + 300));
};

describe('bf16', () => {
  test.each([
    [1, 0x3f80],
    [-2, 0xc000],
    [1 + 2 ** -8, 0x3f80], // tie, to even below
    [1 + 3 * 2 ** -8, 0x3f82], // tie, to even above
    [1 + 2 ** -8 + 2 ** -23, 0x3f81],
    [3.4e38, 0x7f80], // over the largest bf16: infinity
    [Infinity, 0x7f80],
    [-0, 0x8000],
    [2 ** -133, 0x0001], // smallest subnormal bf16
  ])('%p becomes %p', (x, pattern) => {
    expect(bf16OfFloat32(x)).toBe(pattern);
  });

  test('every pattern survives the way there and back', () => {
    const lost = Array.from({ length: 65536 }, (_, pattern) => pattern).filter((pattern) => {
      const value = float32OfBf16(pattern);
      const back = bf16OfFloat32(value);
      return Number.isNaN(value) ? !Number.isNaN(float32OfBf16(back)) : back !== pattern;
    });
    expect(lost).toEqual([]);
  });
});

describe('fma32', () => {
  test('rounds the exact sum once', () => {
    const values = [...float32Values(30000, -20, 20)];
    const wrong: number[][] = [];
    for (let i = 0; i + 2 < values.length; i += 3) {
      const [a, b, c] = [values[i]!, values[i + 1]!, values[i + 2]!];
      const result = fma32(a, b, c);
      const wanted = fixed(a) * fixed(b) + (fixed(c) << 300n); // over 2^600
      const distance = (x: number) => {
        const gap = (fixed(x) << 300n) - wanted;
        return gap < 0n ? -gap : gap;
      };
      const bits = bitsOfFloat32(result);
      for (const neighbour of [bits - 1, bits + 1].map(float32OfBits)) {
        const isNearest = distance(result) < distance(neighbour);
        const isEvenTie = distance(result) === distance(neighbour) && bits % 2 === 0;
        if (!isNearest && !isEvenTie) wrong.push([a, b, c, result]);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('differs from rounding through a double where that rounds twice', () => {
    // 1 + 2^-24 is a tie in fp32, and 2^-70 breaks it; a double forgets 2^-70.
    const [a, b, c] = [1 + 2 ** -23, 2 ** -24 - 2 ** -47, 1];
    expect(fma32(2 ** -40, 2 ** -30, 1 + 2 ** -23)).toBe(1 + 2 ** -23);
    expect(fma32(a, b, c)).toBe(1); // 1 + 2^-24 - 2^-70: just below the tie
    expect(fma32(-a, b, -c)).toBe(-1);
    expect(fma32(2 ** -24, 1 + 2 ** -23, 1)).toBe(1 + 2 ** -23); // just above the tie
  });
});

describe('stochastic rounding', () => {
  const attributes = { stochasticRounding: 1, roundingSeed: 5, tensorId: 3, step: 2 };

  test('gives one of the two neighbours, right on average', () => {
    const fraction = 0.3125; // of the way from 1 to the next bf16
    const value = 1 + fraction * 2 ** -7;
    const rounded = stochasticallyRounded(tensor([64, 257], Array<number>(64 * 257).fill(value)), attributes);
    const ups = rounded.data.filter((x) => x === 1 + 2 ** -7).length;
    expect(rounded.data.every((x) => x === 1 || x === 1 + 2 ** -7)).toBe(true);
    const count = rounded.data.length;
    const z = (ups - fraction * count) / Math.sqrt(fraction * (1 - fraction) * count);
    expect(Math.abs(z)).toBeLessThan(3.5);
  });

  test('leaves bf16 values alone and is drawn anew at each step', () => {
    const exactValues = tensor(
      [3, 9],
      Array.from({ length: 27 }, (_, i) => (i - 13) / 4),
    );
    expect(stochasticallyRounded(exactValues, attributes)).toEqual(exactValues);
    const between = tensor([1, 64], Array<number>(64).fill(1 + 2 ** -8));
    const first = stochasticallyRounded(between, attributes).data.join();
    expect(stochasticallyRounded(between, { ...attributes, step: 3 }).data.join()).not.toBe(first);
    expect(stochasticallyRounded(between, { ...attributes, stochasticRounding: 0 })).toEqual(between);
  });
});
