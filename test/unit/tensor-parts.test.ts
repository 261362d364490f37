/** Tensors that hold several parameters, read in pieces that begin and end anywhere. */
import { expect, test } from '@jest/globals';
import type { Elements } from '../../lib/train/weights/tensor-elements.js';
import {
  besideEachOther,
  columnsOf,
  concatenated,
  elementsFrom,
} from '../../lib/train/weights/tensor-parts.js';

const elementsOf = (data: Uint16Array): Elements => ({
  elementBytes: 2,
  read: (first, count) => {
    if (first < 0 || first + count > data.length) throw new Error('beyond the end');
    return Promise.resolve(new Uint8Array(data.slice(first, first + count).buffer));
  },
});

const [rows, widths] = [5, [3, 1, 4]] as const;
const of = 8;
const whole = Uint16Array.from({ length: rows * of }, (_, at) => at);
const parts = widths.map((width, index) => {
  const first = widths.slice(0, index).reduce((sum, each) => sum + each, 0);
  const data = Uint16Array.from(
    { length: rows * width },
    (_, at) => Math.floor(at / width) * of + first + (at % width),
  );
  return { first, width, data };
});

async function expectEveryRange(elements: Elements, expected: Uint16Array): Promise<void> {
  for (let first = 0; first < expected.length; first++)
    for (let count = 1; first + count <= expected.length; count++) {
      const bytes = await elements.read(first, count);
      const found = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
      expect([first, count, [...found]]).toEqual([first, count, [...expected.slice(first, first + count)]]);
    }
}

test.each(parts)('columns from $first on', async ({ first, width, data }) => {
  await expectEveryRange(columnsOf(elementsOf(whole), { first, width, of }), data);
});

test('matrices beside each other', async () => {
  const matrices = parts.map(({ data, width }) => ({ elements: elementsOf(data), width }));
  await expectEveryRange(besideEachOther(matrices), whole);
});

test('one after the other, and from some on', async () => {
  const tensors = parts.map(({ data }) => ({ elements: elementsOf(data), numElements: data.length }));
  const all = Uint16Array.from(parts.flatMap(({ data }) => [...data]));
  await expectEveryRange(concatenated(tensors), all);
  await expectEveryRange(elementsFrom(elementsOf(all), 7), all.slice(7));
});
