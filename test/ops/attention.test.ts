import { describeOps } from '../helpers/describe-ops.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { randomIntegers, randomTensor } from '../helpers/random.js';
import { computeTwin, mapElements, tensor, type Tensor } from '../reference/index.js';
import { rounded } from '../helpers/storage.js';

interface AttentionShape {
  readonly sequences: number;
  readonly sequenceLength: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly causal: number;
  readonly mask?: 'random' | 'left' | 'nothing to see';
  readonly isPacked?: boolean;
  readonly window?: number;
  readonly softCap?: number;
}

const shapes: readonly AttentionShape[] = [
  { sequences: 1, sequenceLength: 1, heads: 1, kvHeads: 1, headSize: 8, causal: 1 },
  { sequences: 3, sequenceLength: 2, heads: 2, kvHeads: 1, headSize: 16, causal: 1 },
  { sequences: 2, sequenceLength: 31, heads: 4, kvHeads: 2, headSize: 8, causal: 1 },
  { sequences: 1, sequenceLength: 33, heads: 3, kvHeads: 3, headSize: 32, causal: 0 },
  { sequences: 2, sequenceLength: 41, heads: 4, kvHeads: 1, headSize: 40, causal: 0, mask: 'random' },
  { sequences: 2, sequenceLength: 32, heads: 2, kvHeads: 2, headSize: 64, causal: 1, mask: 'random' },
  { sequences: 2, sequenceLength: 17, heads: 1, kvHeads: 1, headSize: 16, causal: 1, mask: 'left' },
  { sequences: 1, sequenceLength: 5, heads: 2, kvHeads: 1, headSize: 8, causal: 0, mask: 'nothing to see' },
  { sequences: 1, sequenceLength: 123, heads: 2, kvHeads: 1, headSize: 24, causal: 1 },
  { sequences: 1, sequenceLength: 130, heads: 1, kvHeads: 1, headSize: 128, causal: 1 },
  { sequences: 1, sequenceLength: 65, heads: 3, kvHeads: 1, headSize: 96, causal: 1, mask: 'random' },
  { sequences: 1, sequenceLength: 3, heads: 1, kvHeads: 1, headSize: 256, causal: 1 },
  {
    sequences: 2,
    sequenceLength: 150,
    heads: 2,
    kvHeads: 1,
    headSize: 16,
    causal: 1,
    isPacked: true,
  },
  { sequences: 1, sequenceLength: 200, heads: 1, kvHeads: 1, headSize: 8, causal: 1, window: 9 },
  { sequences: 1, sequenceLength: 140, heads: 2, kvHeads: 2, headSize: 96, causal: 1, window: 70 },
  {
    sequences: 1,
    sequenceLength: 40,
    heads: 2,
    kvHeads: 1,
    headSize: 136,
    causal: 0,
    mask: 'random',
    isPacked: true,
  },
  {
    sequences: 2,
    sequenceLength: 140,
    heads: 1,
    kvHeads: 1,
    headSize: 8,
    causal: 1,
    isPacked: true,
    window: 20,
  },
  { sequences: 1, sequenceLength: 40, heads: 1, kvHeads: 1, headSize: 16, causal: 0, window: 1 },
  { sequences: 1, sequenceLength: 20, heads: 1, kvHeads: 1, headSize: 16, causal: 1, window: 20 },
  { sequences: 1, sequenceLength: 20, heads: 1, kvHeads: 1, headSize: 16, causal: 1, window: 2 ** 40 },
  // Scores are about as large as the cap: the steep part and both flat ones.
  { sequences: 2, sequenceLength: 31, heads: 4, kvHeads: 2, headSize: 8, causal: 1, softCap: 2 },
  {
    sequences: 1,
    sequenceLength: 70,
    heads: 2,
    kvHeads: 1,
    headSize: 128,
    causal: 1,
    window: 40,
    softCap: 50,
  },
  {
    sequences: 1,
    sequenceLength: 41,
    heads: 1,
    kvHeads: 1,
    headSize: 256,
    causal: 0,
    mask: 'random',
    softCap: 3,
  },
  {
    sequences: 1,
    sequenceLength: 5,
    heads: 2,
    kvHeads: 1,
    headSize: 8,
    causal: 0,
    mask: 'nothing to see',
    softCap: 3,
  },
];

/** Where the documents of a sequence start: of one token, of few, over the ends of tiles. */
const documentStarts = [0, 1, 5, 37, 63, 64, 131];

function firstKeysOf({ sequences, sequenceLength, isPacked }: AttentionShape): { firstKeys?: Tensor } {
  if (isPacked !== true) return {};
  const first = (position: number) => documentStarts.findLast((start) => start <= position)!;
  const tokens = sequences * sequenceLength;
  return {
    firstKeys: tensor(
      [tokens],
      Array.from({ length: tokens }, (_, i) => first(i % sequenceLength)),
    ),
  };
}

function maskOf({ sequences, sequenceLength, mask }: AttentionShape): { mask?: Tensor } {
  const tokens = sequences * sequenceLength;
  if (mask === 'random')
    return { mask: mapElements(randomIntegers('mask', [tokens], 4), (x) => Number(x > 0)) };
  if (mask === 'nothing to see') return { mask: tensor([tokens]) };
  if (mask !== 'left') return {};
  return {
    mask: tensor(
      [tokens],
      Array.from({ length: tokens }, (_, i) => Number(i % sequenceLength > 4)),
    ),
  };
}

/** Both passes for one dtype: backward reads what forward left in that dtype. */
function bothPasses(shape: AttentionShape, dtype: 'f32' | 'bf16'): OpCase[] {
  const { sequences, sequenceLength, heads, kvHeads, headSize, causal, window = 0, softCap = 0 } = shape;
  const tokens = sequences * sequenceLength;
  const attributes = { sequenceLength, headSize, causal, scale: 1 / Math.sqrt(headSize), window, softCap };
  const inputs = {
    q: rounded(randomTensor('q', [tokens, heads * headSize], 1.5), dtype),
    k: rounded(randomTensor('k', [tokens, kvHeads * headSize], 1.5), dtype),
    v: rounded(randomTensor('v', [tokens, kvHeads * headSize]), dtype),
    ...maskOf(shape),
    ...firstKeysOf(shape),
  };
  const label = `${sequences} x ${sequenceLength}, ${heads}/${kvHeads} heads${causal ? ', causal' : ''}${window ? `, window of ${window}` : ''}${softCap ? `, capped at ${softCap}` : ''}`;
  const { o, lse } = computeTwin('attention', inputs, attributes);
  const dO = randomTensor('dO', [tokens, heads * headSize]);
  // Two sums of headSize products near 1 cancel, and what they leave is multiplied by entries of q or k up to about 5
  // over sqrt(headSize): errors of ten units of 2^-24 where the result may be zero.
  const absolute = { dq: 2 ** -20, dk: 2 ** -20 };
  // Probabilities and score gradients are rounded to bf16 before they are multiplied: 2^-9 of each term of sums that
  // cancel to a quarter of their largest value.
  const forward = { op: 'attention', label, inputs, attributes, onMatrixUnits: { o: 2 ** -7 } };
  const backward = {
    op: 'attentionBackward',
    label,
    inputs: { ...inputs, o, lse, dO },
    attributes,
    absolute,
    onMatrixUnits: { dq: 2 ** -7, dk: 2 ** -7, dv: 2 ** -7 },
  };
  return [...opCases(forward, [dtype]), ...opCases(backward, [dtype])];
}

describeOps('attention', () =>
  shapes.flatMap((shape) => [...bothPasses(shape, 'f32'), ...bothPasses(shape, 'bf16')]),
);
