/** Numbers of files against published values, the bf16 of the twins, and the definition of f16 in numbers of 64 bits. */
import { describe, expect, test } from '@jest/globals';
import { convertNumbers, toSingles, type FloatDType } from '../../lib/formats/index.js';
import { bf16OfFloat32, float32OfBits } from '../reference/bf16.js';

const bytes = (array: Float64Array | Float32Array | Uint16Array | Uint32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const halves = (array: Uint8Array): number[] => [
  ...new Uint16Array(array.buffer, array.byteOffset, array.byteLength / 2),
];

/** The value of an f16 by its definition. */
function f16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const allHalves = Uint16Array.from({ length: 2 ** 16 }, (_, half) => half);

/** The bf16 nearest to a number, ties to even, by looking at both neighbours in numbers of 64 bits. */
function nearestBf16(x: number): number {
  const below = (bf16OfFloat32(Math.fround(Math.abs(x))) & 0x7fff) - 1;
  let best = Math.max(0, below);
  for (const pattern of [best, best + 1, best + 2]) {
    const [distance, least] = [pattern, best].map((p) =>
      Math.abs(float32OfBits((p << 16) >>> 0) - Math.abs(x)),
    ) as [number, number];
    if (distance < least || (distance === least && pattern % 2 === 0)) best = pattern;
  }
  return best | (x < 0 || Object.is(x, -0) ? 0x8000 : 0);
}

/** Numbers of every size, and ties between neighbours of bf16 and f16 with the numbers right beside them. */
const awkward = Array.from({ length: 4000 }, (_, i) => {
  const ties = [1.00390625, 1.01171875, 1.00048828125, 1.00146484375];
  const mantissa = i % 3 === 0 ? ties[i % 4]! : 1 + ((i * 2654435761) >>> 0) / 2 ** 32;
  const nudge = [0, 2 ** -40, -(2 ** -40), 2 ** -23][(i >> 2) % 4]!;
  return (i % 2 === 0 ? 1 : -1) * (mantissa + nudge) * 2 ** ((i % 80) - 40);
});

describe('f16', () => {
  test('each is exact in f32 and in f64', () => {
    for (const to of ['f32', 'f64'] as const) {
      const result = convertNumbers(bytes(allHalves), 'f16', to);
      const numbers = to === 'f32' ? new Float32Array(result.buffer) : new Float64Array(result.buffer);
      allHalves.forEach((half, i) => {
        if (!Object.is(numbers[i], f16(half))) throw new Error(`${half.toString(16)}: ${numbers[i]}`);
      });
    }
  });

  test('each comes back from f32, f64 and, where 8 bits hold it, from bf16', () => {
    for (const way of ['f32', 'f64'] as const) {
      const there = convertNumbers(bytes(allHalves), 'f16', way);
      const back = halves(convertNumbers(there, way, 'f16'));
      const expected = [...allHalves].map((half) => (Number.isNaN(f16(half)) ? NaN : half));
      expect(back.map((half) => (Number.isNaN(f16(half)) ? NaN : half))).toEqual(expected);
    }
    const powers = [0x3c00, 0x4000, 0xc400, 0x0001, 0x7800, 0x8000];
    const back = convertNumbers(
      convertNumbers(bytes(Uint16Array.from(powers)), 'f16', 'bf16'),
      'bf16',
      'f16',
    );
    expect(halves(back)).toEqual(powers);
  });

  test.each(['f32', 'f64'] as const)('the nearest of a number in %s, ties to even', (from) => {
    const finite = [...allHalves].filter((half) => half < 0x7c00);
    const ends = [65504, 65519.996, 65520, 1e30, 2 ** -25, 2 ** -25 * 1.0001, 2 ** -26, 6e-8, 5.97e-8];
    const given = [...ends, ...awkward];
    const array = from === 'f32' ? Float32Array.from(given) : Float64Array.from(given);
    const found = halves(convertNumbers(bytes(array), from, 'f16'));
    found.forEach((half, i) => {
      const x = Math.abs(array[i]!);
      if (x >= 65520) return expect(half & 0x7fff).toBe(0x7c00);
      let [low, high] = [0, finite.length];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (f16(middle) <= x) low = middle;
        else high = middle;
      }
      const [under, over] = [x - f16(low), (high === 0x7c00 ? 65536 : f16(high)) - x];
      const nearest = under < over || (under === over && low % 2 === 0) ? low : high;
      if ((half & 0x7fff) !== nearest)
        throw new Error(`${array[i]}: ${half.toString(16)}, not ${nearest.toString(16)}`);
    });
  });
});

describe('bf16', () => {
  test('each is exact in f32', () => {
    const words = new Uint32Array(toSingles(bytes(allHalves), 'bf16').buffer);
    expect(words.every((word, i) => word === i * 2 ** 16)).toBe(true);
  });

  test('f32 to bf16 is that of the kernels, NaN and infinities included', () => {
    const special = [NaN, Infinity, -Infinity, 0, -0, 3.4e38, 1e-45, 1.00390625, 1.01171875];
    const array = Float32Array.from([...special, ...awkward]);
    expect(halves(convertNumbers(bytes(array), 'f32', 'bf16'))).toEqual([...array].map(bf16OfFloat32));
    const notNumbers = bytes(Uint32Array.from([0x7f800001, 0xffffffff]));
    expect(halves(convertNumbers(notNumbers, 'f32', 'bf16'))).toEqual([0x7fff, 0x7fff]);
  });

  test('f64 to bf16 rounds once', () => {
    const tie = 1.00390625;
    // f32 rounds the first two to the tie, which would then go to even.
    const given = [tie + 2 ** -40, 3 * tie - 2 ** -40, -tie - 2 ** -40, tie, ...awkward];
    const found = halves(convertNumbers(bytes(Float64Array.from(given)), 'f64', 'bf16'));
    expect(found[0]).toBe(0x3f81);
    expect(found).toEqual(given.map(nearestBf16));
  });
});

test('f64 to f32 is the rounding of the language', () => {
  const result = convertNumbers(bytes(Float64Array.from(awkward)), 'f64', 'f32');
  expect([...new Float32Array(result.buffer)]).toEqual(awkward.map(Math.fround));
});

test.each(['f64', 'f32', 'bf16', 'f16'] as FloatDType[])('%s as it is', (dtype) => {
  const given = new Uint8Array(16).fill(7);
  expect(convertNumbers(given, dtype, dtype)).toBe(given);
});
