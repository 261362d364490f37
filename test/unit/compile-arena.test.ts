/** Placing blocks of memory, over random lives. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { placeBlocks } from '../../lib/compile/arena.js';
import { type Block, liveBytes } from '../../lib/compile/lifetimes.js';

const length = 40;

const blocks = fc.array(
  fc
    .tuple(fc.nat(length - 1), fc.nat(length - 1), fc.integer({ min: 0, max: 64 }))
    .map(([a, b, size]): Block => ({ first: Math.min(a, b), last: Math.max(a, b), bytes: 256 * size })),
  { maxLength: 60 },
);

const runs = { numRuns: 300, seed: 7 };

test('blocks that are alive at the same time do not overlap', () => {
  fc.assert(
    fc.property(blocks, (list) => {
      const { offsets, bytes } = placeBlocks(list, length);
      for (const [i, a] of list.entries()) {
        expect(offsets[i]! + a.bytes).toBeLessThanOrEqual(bytes);
        for (const [j, b] of list.entries()) {
          if (j <= i || a.bytes === 0 || b.bytes === 0 || a.last < b.first || b.last < a.first) continue;
          const apart = offsets[i]! + a.bytes <= offsets[j]! || offsets[j]! + b.bytes <= offsets[i]!;
          expect(apart).toBe(true);
        }
      }
    }),
    runs,
  );
});

test('live bytes are counted instruction by instruction', () => {
  fc.assert(
    fc.property(blocks, (list) => {
      const counted = Array.from({ length }, (_, moment) =>
        list
          .filter(({ first, last }) => first <= moment && moment <= last)
          .reduce((sum, { bytes }) => sum + bytes, 0),
      );
      expect([...liveBytes(list, length)]).toEqual(counted);
    }),
    runs,
  );
});

test('lives that end in reverse order, as of a forward and backward pass, leave no gap', () => {
  const nested = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: length / 2 });
  fc.assert(
    fc.property(nested, (sizes) => {
      const stack = sizes.map((size, depth) => ({
        first: depth,
        last: length - 1 - depth,
        bytes: 256 * size,
      }));
      expect(placeBlocks(stack, length).bytes).toBe(256 * sizes.reduce((a, b) => a + b, 0));
    }),
    runs,
  );
});

test('a search around the peak finds what no sorted order does', () => {
  // Two wide blocks in turn and two narrow ones that must hang at opposite ends to leave room for both.
  const list: Block[] = [
    { bytes: 1024 * 10, first: 0, last: 9 },
    { bytes: 1024, first: 2, last: 3 },
    { bytes: 1024, first: 2, last: 3 },
    { bytes: 512, first: 3, last: 4 },
    { bytes: 1024 + 512, first: 4, last: 4 },
    { bytes: 512, first: 4, last: 6 },
    { bytes: 1024, first: 5, last: 5 },
    { bytes: 1024, first: 5, last: 6 },
    { bytes: 1024, first: 6, last: 6 },
  ];
  const bound = Math.max(...liveBytes(list, 10));
  expect(placeBlocks(list, 10).bytes / bound).toBeLessThanOrEqual(1.005);
});

test('nothing to place is an arena of zero bytes', () => {
  expect(placeBlocks([], 0).bytes).toBe(0);
  expect(placeBlocks([{ bytes: 0, first: 0, last: 0 }], 1).bytes).toBe(0);
});
