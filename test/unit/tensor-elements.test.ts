/** Tensors in another order and in other numbers, range by range. */
import { describe, expect, test } from '@jest/globals';
import {
  convertedNumbers,
  evenRows,
  notFinite,
  pieces,
  transposed,
  type Elements,
} from '../../lib/train/weights/tensor-elements.js';

const words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const;
type WordBytes = keyof typeof words;

/** Elements of an array, and how often each was read. */
function counting(
  array: InstanceType<(typeof words)[WordBytes]>,
): Elements & { readonly numReads: number[] } {
  const numReads = Array.from({ length: array.length }, () => 0);
  return {
    elementBytes: array.BYTES_PER_ELEMENT,
    numReads,
    async read(first, count) {
      for (let i = first; i < first + count; i++) numReads[i]!++;
      const copy = array.slice(first, first + count);
      return new Uint8Array(copy.buffer);
    },
  };
}

describe('the transpose of a matrix', () => {
  const shapes = [
    [1, 1],
    [1, 7],
    [5, 1],
    [3, 4],
    [70, 65],
    [129, 200],
  ] as const;
  test.each(shapes.flatMap((shape) => ([1, 2, 4, 8] as const).map((bytes) => [shape, bytes] as const)))(
    '%j of %i bytes an element, in ranges of any size and place',
    async ([rows, columns], bytes) => {
      const matrix = new words[bytes](rows * columns);
      const right = new words[bytes](rows * columns);
      for (let i = 0; i < matrix.length; i++) {
        matrix[i] = (i * 7919) % 251;
        right[(i % columns) * rows + Math.floor(i / columns)] = matrix[i]!;
      }
      for (const bytesOfPass of [1, 40, 1e6]) {
        const elements = transposed(counting(matrix), [rows, columns], bytesOfPass);
        for (const most of [1, 3, rows, rows * columns].filter((size) => rows * columns < 100 * size)) {
          for (const { first, count } of pieces(rows * columns, most)) {
            const found = await elements.read(first, count);
            const expected = new Uint8Array(right.buffer, first * bytes, count * bytes);
            if (found.byteOffset % 8 !== 0 || Buffer.compare(found, expected) !== 0)
              throw new Error(`wrong from ${first} on, ${count} elements`);
          }
        }
      }
    },
  );

  test('a range reads every element once', async () => {
    const matrix = counting(Uint16Array.from({ length: 35 }, (_, i) => i));
    await transposed(matrix, [5, 7], 20).read(8, 20);
    expect(new Set(matrix.numReads)).toEqual(new Set([1]));
  });
});

test('rows of an odd number end in a zero, in ranges of any size and place', async () => {
  const matrix = Uint32Array.from({ length: 4 * 7 }, (_, i) => i + 1);
  const right = Array.from({ length: 4 * 8 }, (_, i) =>
    i % 8 === 7 ? 0 : matrix[Math.floor(i / 8) * 7 + (i % 8)]!,
  );
  const padded = evenRows(counting(matrix), 7);
  for (const most of [1, 3, 8, 11, 32]) {
    const found: number[] = [];
    for (const { first, count } of pieces(right.length, most))
      found.push(...new Uint32Array((await padded.read(first, count)).buffer));
    expect(found).toEqual(right);
  }
  const even = counting(matrix);
  expect(evenRows(even, 4)).toBe(even);
});

describe('numbers in another type', () => {
  const refused = notFinite('a.safetensors', 'w', 'bf16');

  test('range by range', async () => {
    const given = Float64Array.from([1, 1.00390625, -3, 0.1]);
    const found = await convertedNumbers(counting(given), 'f64', 'bf16', refused).read(1, 2);
    expect([...new Uint16Array(found.buffer)]).toEqual([0x3f80, 0xc040]);
  });

  test.each([
    ['NaN of 16 bits', Uint16Array.from([0, 0x7e01]), 'f16', 'f32', /w holds NaN/],
    ['a number that becomes infinite', Float64Array.from([0, -1e39]), 'f64', 'f32', /w holds -1e\+39/],
    ['a number beyond f16', Uint32Array.from([0, 0x477ff000]), 'f32', 'f16', /w holds 65520/],
  ] as const)('%s is refused with the number in the file', async (_, array, from, to, message) => {
    const elements = convertedNumbers(counting(array), from, to, refused);
    await expect(elements.read(1, 1)).rejects.toMatchObject({
      code: 'ERR_COMPACT_CHECKPOINT_INVALID',
      op: 'w',
      message: expect.stringMatching(message),
    });
  });
});

test('pieces cover a tensor', () => {
  expect([...pieces(10, 4)]).toEqual([
    { first: 0, count: 4 },
    { first: 4, count: 4 },
    { first: 8, count: 2 },
  ]);
  expect([...pieces(0)]).toEqual([]);
});
