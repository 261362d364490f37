import { expect, test } from '@jest/globals';
import { describeOps } from '../helpers/describe-ops.js';
import { opCases } from '../helpers/op-case.js';
import { randomTensor } from '../helpers/random.js';
import { computeTwin, tensor } from '../reference/index.js';

interface CacheShape {
  readonly capacity: number;
  readonly newTokens: number;
  /** Of each sequence, where its new tokens begin. */
  readonly starts: readonly number[];
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly window?: number;
  readonly softCap?: number;
}

const shapes: readonly CacheShape[] = [
  { capacity: 1, newTokens: 1, starts: [0], heads: 1, kvHeads: 1, headSize: 8 },
  { capacity: 33, newTokens: 1, starts: [0, 32, 7], heads: 4, kvHeads: 2, headSize: 8 },
  { capacity: 200, newTokens: 1, starts: [199], heads: 3, kvHeads: 1, headSize: 96 },
  { capacity: 131, newTokens: 1, starts: [63, 64], heads: 2, kvHeads: 2, headSize: 40 },
  { capacity: 130, newTokens: 1, starts: [129], heads: 1, kvHeads: 1, headSize: 256 },
  { capacity: 123, newTokens: 41, starts: [0, 82], heads: 2, kvHeads: 1, headSize: 24 },
  { capacity: 70, newTokens: 70, starts: [0], heads: 2, kvHeads: 1, headSize: 16 },
  { capacity: 150, newTokens: 3, starts: [100, 2], heads: 2, kvHeads: 1, headSize: 16, window: 65 },
  { capacity: 9, newTokens: 4, starts: [5], heads: 2, kvHeads: 2, headSize: 8, window: 1 },
  { capacity: 100, newTokens: 2, starts: [97], heads: 2, kvHeads: 1, headSize: 32, softCap: 2 },
];

const operandsOf = ({ capacity, newTokens, starts, heads, kvHeads, headSize }: CacheShape) => {
  const tokens = starts.length * newTokens;
  const cacheRows = starts.length * capacity;
  return {
    q: randomTensor('q', [tokens, heads * headSize], 1.5),
    k: randomTensor('k', [tokens, kvHeads * headSize], 1.5),
    v: randomTensor('v', [tokens, kvHeads * headSize]),
    keyCache: randomTensor('keyCache', [cacheRows, kvHeads * headSize], 1.5),
    valueCache: randomTensor('valueCache', [cacheRows, kvHeads * headSize]),
    positions: tensor(
      [tokens],
      Array.from({ length: tokens }, (_, row) => starts[Math.floor(row / newTokens)]! + (row % newTokens)),
    ),
  };
};

describeOps('cachedAttention', () =>
  shapes.flatMap((shape) => {
    const { capacity, newTokens, starts, headSize, window = 0, softCap = 0 } = shape;
    const label =
      `${starts.length} x ${newTokens} into ${capacity}` +
      (window > 0 ? `, window ${window}` : '') +
      (softCap > 0 ? `, soft cap ${softCap}` : '');
    const attributes = { newTokens, headSize, scale: 1 / Math.sqrt(headSize), window, softCap };
    return opCases({ op: 'cachedAttention', label, inputs: operandsOf(shape), attributes });
  }),
);

test('token by token it is attention over the whole', () => {
  const [length, heads, kvHeads, headSize] = [7, 4, 2, 8];
  const q = randomTensor('q', [length, heads * headSize]);
  const k = randomTensor('k', [length, kvHeads * headSize]);
  const v = randomTensor('v', [length, kvHeads * headSize]);
  const scale = 0.3;
  const whole = computeTwin('attention', { q, k, v }, { sequenceLength: length, headSize, causal: 1, scale });
  let cache = { keyCache: tensor([9, kvHeads * headSize]), valueCache: tensor([9, kvHeads * headSize]) };
  const rowOf = ({ shape, data }: typeof q, row: number) =>
    tensor([1, shape[1]!], data.slice(row * shape[1]!, (row + 1) * shape[1]!));
  for (let row = 0; row < length; row++) {
    const inputs = { q: rowOf(q, row), k: rowOf(k, row), v: rowOf(v, row), positions: tensor([1], [row]) };
    const attributes = { newTokens: 1, headSize, scale, window: 0, softCap: 0 };
    const { o, keyCache, valueCache } = computeTwin('cachedAttention', { ...inputs, ...cache }, attributes);
    cache = { keyCache: keyCache!, valueCache: valueCache! };
    expect(o!.data).toEqual(rowOf(whole['o']!, row).data);
  }
});
