/** Pieces of tensors on their way from a file into an engine. */
import { describe, expect, test } from '@jest/globals';
import { setTimeout as after } from 'node:timers/promises';
import { compactError } from '../../lib/errors.js';
import type { TensorReader } from '../../lib/formats/index.js';
import type { Engine, RowsLayout } from '../../lib/runtime/index.js';
import { rowsIn, writeFileRows, type FileRows } from '../../lib/train/weights/file-rows.js';

describe('where in its tensor a parameter lies', () => {
  const whole = { firstElement: 0, firstColumn: 0 };
  test.each([
    [
      { shape: [5], isTransposed: false },
      { ...whole, numRows: 5, stride: 1, columns: 1 },
    ],
    [
      { shape: [5, 3], isTransposed: false },
      { ...whole, numRows: 15, stride: 1, columns: 1 },
    ],
    [
      { shape: [5, 3], isTransposed: true },
      { ...whole, numRows: 3, stride: 5, columns: 5 },
    ],
    // Of (3 + 3, 5) in the file the last three rows; of (5, 6) the last three columns; of 6 numbers the last three.
    [
      { shape: [5, 3], isTransposed: true, part: { first: 3, of: 6 } },
      { ...whole, firstElement: 15, numRows: 3, stride: 5, columns: 5 },
    ],
    [
      { shape: [5, 3], isTransposed: false, part: { first: 3, of: 6 } },
      { ...whole, numRows: 5, stride: 6, firstColumn: 3, columns: 3 },
    ],
    [
      { shape: [3], isTransposed: false, part: { first: 3, of: 6 } },
      { ...whole, firstElement: 3, numRows: 3, stride: 1, columns: 1 },
    ],
  ])('%j', (stored, expected) => {
    expect(rowsIn(stored)).toEqual({ ...expected, isTransposed: stored.isTransposed });
  });
});

const sizes = { large: 8_000_000, matrix: 900 * 3001, small: 7 };

/** Tensors of f32 in memory, every number its place. */
const file: TensorReader = {
  path: 'a.safetensors',
  tensors: new Map(
    Object.entries(sizes).map(([name, count]) => [
      name,
      { dtype: 'f32', shape: [count], byteOffset: 0, byteLength: 4 * count },
    ]),
  ),
  async readInto(name, target, byteOffset) {
    if (byteOffset + target.length > 4 * sizes[name as keyof typeof sizes]) throw new Error('beyond the end');
    const numbers = new Float32Array(target.buffer, target.byteOffset, target.length / 4);
    for (let i = 0; i < numbers.length; i++) numbers[i] = byteOffset / 4 + i;
    await after(0);
  },
  async close() {},
  async [Symbol.asyncDispose]() {},
};

const rowsOf = (tensor: keyof typeof sizes, change: Partial<FileRows>): FileRows => ({
  value: { name: tensor, dtype: 'f32' },
  ...{ tensor, dtype: 'f32', firstElement: 0, numRows: sizes[tensor], stride: 1 },
  ...{ firstColumn: 0, columns: 1, isTransposed: false, ...change },
});

/** Takes its time, and looks at what it was given only then. */
class SlowEngine implements Pick<Engine, 'writeRows'> {
  readonly written: { name: string; layout: RowsLayout; first: number; last: number; count: number }[] = [];
  failAt = Infinity;

  async writeRows(name: string, rows: Uint8Array, layout: RowsLayout): Promise<void> {
    await after(3);
    if (this.written.length === this.failAt)
      throw compactError('ERR_COMPACT_DEVICE_LOST', 'the device failed');
    const numbers = new Float32Array(rows.buffer, rows.byteOffset, rows.length / 4);
    for (let i = 1; i < numbers.length; i++)
      if (numbers[i] !== numbers[0]! + i) throw new Error('overwritten');
    this.written.push({ name, layout, first: numbers[0]!, last: numbers.at(-1)!, count: numbers.length });
  }
}

test('pieces cover the rows in their order, and stay as they are while they are written', async () => {
  const engine = new SlowEngine();
  const all = [
    rowsOf('large', {}),
    rowsOf('small', { firstElement: 2, numRows: 5 }),
    rowsOf('matrix', { numRows: 900, stride: 3001, columns: 3001, isTransposed: true }),
  ];
  await writeFileRows(engine, file, all);
  for (const { tensor, firstElement, numRows, stride } of all) {
    const pieces = engine.written.filter(({ name }) => name === tensor);
    let next = firstElement;
    for (const { first, count, layout } of pieces) {
      expect(first).toBe(next);
      expect(layout.firstRow).toBe((next - firstElement) / stride);
      next += count;
    }
    expect(next - firstElement).toBe(numRows * stride);
    expect(pieces.length > 1).toBe(tensor !== 'small');
  }
  expect(engine.written.map(({ name }) => name)).toEqual(
    engine.written
      .map(({ name }) => name)
      .toSorted((a, b) => ['large', 'small', 'matrix'].indexOf(a) - ['large', 'small', 'matrix'].indexOf(b)),
  );
  expect(Math.max(...engine.written.map(({ count }) => 4 * count))).toBeLessThanOrEqual(4 * 2 ** 20);
});

test('an error of the engine ends it, whatever is being read', async () => {
  for (const failAt of [0, 1, 2]) {
    const engine = new SlowEngine();
    engine.failAt = failAt;
    await expect(writeFileRows(engine, file, [rowsOf('large', {})])).rejects.toMatchObject({
      code: 'ERR_COMPACT_DEVICE_LOST',
    });
    expect(engine.written.length).toBe(failAt);
  }
});

test('an error of the file ends it after what was read before', async () => {
  const engine = new SlowEngine();
  const beyond = rowsOf('large', { numRows: sizes.large + 1 });
  await expect(writeFileRows(engine, file, [beyond])).rejects.toThrow('beyond the end');
  expect(engine.written.length).toBe(7);
});

test('of eight pieces none but the first four is begun once it is aborted', async () => {
  const engine = new SlowEngine();
  const abort = new AbortController();
  const writing = writeFileRows(engine, file, [rowsOf('large', {})], abort.signal);
  abort.abort();
  await expect(writing).rejects.toMatchObject({ code: 'ERR_COMPACT_ABORTED' });
  expect(engine.written.length).toBe(4);
});
