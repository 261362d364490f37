import { convertNumbers, toSingles } from '../../lib/formats/index.js';
import { firstNotFinite } from '../../lib/train/weights/finite.js';

const f32 = (values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
/** The upper halves of the same numbers. */
const bf16 = (values: readonly number[]): Uint8Array =>
  new Uint8Array(Uint16Array.from(new Uint32Array(f32(values).buffer), (bits) => bits >>> 16).buffer);

const f16 = (values: readonly number[]): Uint8Array => convertNumbers(f32(values), 'f32', 'f16');
const ofSingles = [0, -0, 1e-40, -1e-40, 1.17e-38, 3.38e38, -3.38e38, 1, -1];
const ofHalves = [0, -0, 6e-8, -6e-8, 6.1e-5, 65504, -65504, 1, -1];

describe.each([
  ['f32', f32, ofSingles],
  ['bf16', bf16, ofSingles],
  ['f16', f16, ofHalves],
] as const)('%s', (dtype, store, extremes) => {
  test('the largest, smallest and denormal numbers are finite', () => {
    for (const length of [0, 1, 2, 3, 9, 4097, 20_001])
      expect(
        firstNotFinite(store(Array.from({ length }, (_, i) => extremes[i % extremes.length]!)), dtype),
      ).toBeUndefined();
  });

  test.each([NaN, Infinity, -Infinity])('%d is found at every place', (value) => {
    for (const length of [1, 2, 3, 8, 9, 20_001])
      for (const place of new Set([0, 1, length >> 1, length - 2, length - 1])) {
        if (place < 0 || place >= length) continue;
        const values = Array.from({ length }, (_, i) => extremes[i % extremes.length]!);
        values[place] = value;
        expect(firstNotFinite(store(values), dtype)).toBe(value);
      }
  });

  test('every pattern of bits is told as JavaScript tells it', () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < 65_536; bits++) {
      const word = Uint32Array.of(bits << 16);
      const half = new Uint8Array(Uint16Array.of(bits).buffer);
      const number = dtype === 'f16' ? toSingles(half, 'f16') : new Float32Array(word.buffer);
      const isFinite = Number.isFinite(number[0]);
      const bytes = dtype === 'f32' ? word : Uint16Array.of(1, bits);
      if ((firstNotFinite(new Uint8Array(bytes.buffer), dtype) === undefined) !== isFinite) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });
});

test('whole numbers are finite whatever their bits', () => {
  expect(firstNotFinite(new Uint8Array(64).fill(255), 'u8')).toBeUndefined();
  expect(firstNotFinite(new Uint8Array(64).fill(255), 'i32')).toBeUndefined();
});
