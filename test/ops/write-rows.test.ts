/** Rows that an engine converts and turns round, on every machine, against arithmetic on doubles. */
import { expect, test } from '@jest/globals';
import { planVersion, type Plan } from '../../lib/compile/index.js';
import type { Engine, HostArray } from '../../lib/runtime/index.js';
import { bytesOfNumber, packed, roundedTo, type NumberType } from '../helpers/host-numbers.js';
import { isCuda, machines, type MachineName, withEngine } from '../helpers/machines.js';

const sources = ['f64', 'f32', 'bf16', 'f16'] as const;
const targets = ['f32', 'bf16'] as const;
type Target = (typeof targets)[number];

/** One value and nothing that is run. */
function planOf(machine: MachineName, dtype: Target, shape: readonly number[]): Plan {
  const bytes = bytesOfNumber(dtype) * shape.reduce((a, b) => a * b, 1);
  const persistentBytes = Math.ceil(bytes / 256) * 256;
  const place = { region: 'persistent', offset: 0, bytes } as const;
  return {
    version: planVersion,
    device: isCuda(machine) ? machine : 'cpu',
    scalars: [],
    values: [{ id: 0, name: 'weight', layer: 'test', kind: 'parameter', dtype, shape, ...place }],
    entries: {},
    persistentBytes,
    arenaBytes: 0,
    arenaLowerBoundBytes: 0,
    peakBytes: persistentBytes,
  };
}

/** Ties, subnormal numbers, both zeros and the ends of what both types have, over and over with other signs. */
function numbersFor(count: number, from: NumberType, to: Target): number[] {
  const given = [
    0,
    1,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    1 + 2 ** -24,
    1 + 3 * 2 ** -24,
    65504,
    2 ** -14 - 2 ** -24,
  ];
  given.push(
    2 ** -24,
    3 * 2 ** -24,
    2 ** -126,
    2 ** -127,
    2 ** -133,
    3 * 2 ** -134,
    2 ** -149,
    3 * 2 ** -150,
  );
  given.push(
    1 + 2 ** -8 + 2 ** -40,
    1 + 3 * 2 ** -8 - 2 ** -40,
    2 ** -134,
    2 ** -150,
    1e38,
    3.38e38,
    Math.PI,
  );
  const numbers = given.map((x) => roundedTo(x, from)).filter((x) => Number.isFinite(roundedTo(x, to)));
  return Array.from({ length: count }, (_, i) => (i % 3 === 0 ? -1 : 1) * numbers[i % numbers.length]!);
}

function shared(bytes: Uint8Array): Uint8Array {
  const rows = new Uint8Array(new SharedArrayBuffer(bytes.length));
  rows.set(bytes);
  return rows;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Writes a matrix with other columns beside it, in pieces of some rows, and compares the value with it. */
async function writes(
  engine: Engine,
  machine: MachineName,
  [rows, columns]: readonly [number, number],
  from: NumberType,
  to: Target,
  isTransposed: boolean,
): Promise<void> {
  await engine.load(planOf(machine, to, isTransposed ? [columns, rows] : [rows, columns]));
  const [firstColumn, stride] = [2, columns + 3];
  const numbers = numbersFor(rows * stride, from, to);
  const rowsOfPiece = Math.ceil(rows / 2.5);
  for (let firstRow = 0; firstRow < rows; firstRow += rowsOfPiece) {
    const piece = numbers.slice(firstRow * stride, Math.min(rows, firstRow + rowsOfPiece) * stride);
    const layout = { dtype: from, stride, firstColumn, columns, firstRow, isTransposed };
    await engine.writeRows('weight', shared(packed(piece, from)), layout);
  }
  const right = Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = isTransposed
      ? [i % rows, Math.floor(i / rows)]
      : [Math.floor(i / columns), i % columns];
    return roundedTo(numbers[row * stride + firstColumn + column]!, to);
  });
  const found = bytesOf(await engine.read('weight'));
  const where = `${from} to ${to}, ${rows} x ${columns}${isTransposed ? ', transposed' : ''}`;
  if (Buffer.compare(found, packed(right, to)) !== 0) throw new Error(`wrong numbers: ${where}`);
}

test.each(machines)(
  '%s',
  async (machine) => {
    await withEngine(machine, 3, async (engine) => {
      for (const from of sources)
        for (const to of targets)
          for (const isTransposed of [false, true])
            for (const shape of [
              [1, 1],
              [8, 16],
              [67, 45],
            ] as const)
              await writes(engine, machine, shape, from, to, isTransposed);
      // More than one thread takes at a time.
      await writes(engine, machine, [600, 300], 'f16', 'f32', true);
      await writes(engine, machine, [600, 300], 'f32', 'bf16', false);

      await engine.load(planOf(machine, 'bf16', [40, 50]));
      for (const culprit of [NaN, Infinity, -Infinity, 2 ** 128 - 2 ** 104]) {
        for (const isTransposed of [false, true]) {
          const rows = shared(packed([...numbersFor(1399, 'f32', 'bf16'), culprit], 'f32'));
          const layout = { dtype: 'f32', stride: isTransposed ? 40 : 50, isTransposed } as const;
          await expect(engine.writeRows('weight', rows, layout)).rejects.toMatchObject({
            code: 'ERR_COMPACT_NOT_FINITE',
            op: 'weight',
          });
        }
      }
    });
  },
  120_000,
);
