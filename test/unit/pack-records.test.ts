/** Packing keeps every record whole, wastes little, and lets no record see or predict another. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { packRecords } from '../../lib/data/records/packing/pack.js';
import { layOut } from '../../lib/data/records/packing/packed-sequence.js';
import { ignoreIndex } from '../../lib/data/types.js';

/** Best fit decreasing as it is defined, by looking at every sequence. */
function plainBestFit(lengths: readonly number[], sequenceLength: number): number[] {
  const rooms: number[] = [];
  for (const length of lengths.filter((length) => length > 0).toSorted((a, b) => b - a)) {
    const fitting = rooms.filter((room) => room >= length);
    const least = Math.min(...fitting);
    if (fitting.length === 0) rooms.push(sequenceLength - length);
    else rooms[rooms.indexOf(least)] = least - length;
  }
  return rooms.toSorted((a, b) => a - b);
}

describe('a packing', () => {
  const cases = fc
    .integer({ min: 1, max: 40 })
    .chain((sequenceLength) =>
      fc.tuple(
        fc.constant(sequenceLength),
        fc.array(fc.integer({ min: 0, max: sequenceLength }), { minLength: 1 }),
      ),
    );

  test('is that of best fit decreasing, with every record once and whole', () => {
    fc.assert(
      fc.property(cases, ([sequenceLength, lengths]) => {
        fc.pre(lengths.some((length) => length > 0));
        const { sequences, numPadding } = packRecords(lengths, sequenceLength);
        const seen = sequences.flatMap((parts) => {
          let end = 0;
          for (const { record, start, length } of parts) {
            expect([start, length]).toEqual([end, lengths[record]]);
            end += length;
          }
          expect(end).toBeLessThanOrEqual(sequenceLength);
          return parts.map(({ record }) => record);
        });
        const all = lengths.flatMap((length, record) => (length > 0 ? [record] : []));
        expect(seen.toSorted((a, b) => a - b)).toEqual(all);
        const rooms = sequences.map((parts) => sequenceLength - parts.at(-1)!.start - parts.at(-1)!.length);
        expect(rooms.toSorted((a, b) => a - b)).toEqual(plainBestFit(lengths, sequenceLength));
        expect(numPadding).toBe(rooms.reduce((a, b) => a + b, 0));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test('is the same every time, and equal records keep their order', () => {
    const { sequences } = packRecords([3, 5, 3, 2, 5], 8);
    expect(sequences).toEqual([
      [
        { record: 1, start: 0, length: 5 },
        { record: 2, start: 5, length: 3 },
      ],
      [
        { record: 4, start: 0, length: 5 },
        { record: 0, start: 5, length: 3 },
      ],
      [{ record: 3, start: 0, length: 2 }],
    ]);
  });

  test('of many records is made', () => {
    const lengths = Array.from({ length: 200_000 }, (_, i) => 1 + ((i * 7919) % 2048));
    const { sequences, numPadding } = packRecords(lengths, 2048);
    const numTokens = lengths.reduce((a, b) => a + b, 0);
    expect(numPadding).toBe(sequences.length * 2048 - numTokens);
    expect(numPadding / numTokens).toBeLessThan(0.01);
  });

  test('of nothing, of records that are too long, or into nothing, is refused', () => {
    for (const lengths of [[], [0, 0]])
      expect(() => packRecords(lengths, 8)).toThrow(
        expect.objectContaining({ code: 'ERR_COMPACT_DATA_EMPTY' }),
      );
    expect(() => packRecords([1, 9], 8)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_DATA_RECORD', details: { record: 1 } }),
    );
    for (const length of [0, 1.5, NaN])
      expect(() => packRecords([1], length)).toThrow(
        expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE' }),
      );
  });
});

test('positions start again with each record, keys with it, and no record predicts the next', () => {
  const records = [
    { ids: Int32Array.of(10, 11, 12), counts: Uint8Array.of(0, 0, 1) },
    { ids: Int32Array.of(20, 21), counts: Uint8Array.of(0, 1) },
  ];
  const _ = ignoreIndex;
  expect(layOut(records, 8, 99)).toEqual({
    tokens: Int32Array.of(10, 11, 12, 20, 21, 99, 99, 99),
    targets: Int32Array.of(_, 12, _, 21, _, _, _, _),
    positions: Int32Array.of(0, 1, 2, 0, 1, 0, 1, 2),
    firstKeys: Int32Array.of(0, 0, 0, 3, 3, 5, 5, 5),
  });
});
