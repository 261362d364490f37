/** Twins against closed forms and properties that need no second implementation. */
import { describe, expect, test } from '@jest/globals';
import { randomTensor } from '../helpers/random.js';
import { signatures } from '../helpers/signatures.js';
import { erf } from '../reference/erf.js';
import { computeTwin, mapElements, type Tensor, tensor, twinNames } from '../reference/index.js';

test('every op of the table has a twin, and there is no other', () => {
  expect([...twinNames].sort()).toEqual([...signatures.keys()].sort());
});

const closeTo = (a: Tensor, b: Tensor, digits = 12) => {
  expect(a.data.length).toBe(b.data.length);
  a.data.forEach((value, i) => expect(value).toBeCloseTo(b.data[i]!, digits));
};

/** Two heads of size 2 as four: heads 0, 1 use key head 0; heads 2, 3 use key head 1. */
function repeatHeads(x: Tensor): Tensor {
  const rows = Array.from({ length: 6 }, (_, i) => [...x.data.subarray(i * 4, i * 4 + 4)]);
  return tensor(
    [6, 8],
    rows.flatMap(([a, b, c, d]) => [a!, b!, a!, b!, c!, d!, c!, d!]),
  );
}

describe('products', () => {
  const plain = { transposeA: 0, transposeB: 0, alpha: 1, accumulate: 0 };
  const key = { seedLow: 3, seedHigh: 4, tensorId: 5, epoch: 6, distribution: 0 };

  test('matmul of small whole numbers', () => {
    const a = tensor([2, 3], [1, 2, 3, 4, 5, 6]);
    const b = tensor([3, 2], [7, 8, 9, 10, 11, 12]);
    expect([...computeTwin('matmul', { a, b }, plain).c!.data]).toEqual([58, 64, 139, 154]);
    const accumulator = tensor([2, 2], [1, 1, 1, 1]);
    const added = computeTwin('matmul', { a, b, accumulator }, { ...plain, alpha: 2, accumulate: 1 });
    expect([...added.c!.data]).toEqual([117, 129, 279, 309]);
    const flippedA = tensor([3, 2], [1, 4, 2, 5, 3, 6]);
    const flippedB = tensor([2, 3], [7, 9, 11, 8, 10, 12]);
    const flipped = computeTwin(
      'matmul',
      { a: flippedA, b: flippedB },
      { ...plain, transposeA: 1, transposeB: 1 },
    );
    expect([...flipped.c!.data]).toEqual([58, 64, 139, 154]);
    const squares = tensor([2], [5, 6]);
    const squared = computeTwin('matmul', { a, b, squares }, { ...plain, alpha: 0.5, squaresIndex: 1 });
    expect([...squared.squares!.data]).toEqual([5, (58 ** 2 + 64 ** 2 + 139 ** 2 + 154 ** 2) / 4]);
  });

  test('with the identity, project copies and the update is plain', () => {
    const x = randomTensor('x', [4, 6]);
    closeTo(computeTwin('project', { x }, { ...key, distribution: 2, rank: 6 }).z!, x);
    const weight = randomTensor('w', [6, 4]);
    const direction = randomTensor('d', [6, 4]);
    const update = { learningRate: 0.1, updateScale: 0.5, weightDecay: 0.2, stochasticRounding: 0 };
    const updated = computeTwin(
      'projectBackUpdate',
      { weight, direction },
      { ...key, ...update, distribution: 2 },
    );
    closeTo(
      updated.weight!,
      mapElements(weight, (w, i) => w * 0.98 - 0.05 * direction.data[i]!),
    );
  });

  test('a transfer to the same epoch multiplies by P^T P', () => {
    const moment = randomTensor('m', [3, 2]);
    const back = computeTwin('projectTransfer', { moment }, { ...key, rows: 4000, oldEpoch: 1, newEpoch: 1 });
    // P^T P of a tall P is about rows / rank times the identity.
    back.moment!.data.forEach((value, i) => {
      expect(Math.abs(value / (4000 / 3) - moment.data[i]!)).toBeLessThan(0.2);
    });
  });
});

describe('layers', () => {
  test('norms give unit rows', () => {
    const x = randomTensor('x', [3, 50], 7);
    const ones = tensor([50], Array<number>(50).fill(1));
    const { y } = computeTwin('rmsNorm', { x, weight: ones }, { epsilon: 0 });
    for (let i = 0; i < 3; i++) {
      const row = y!.data.subarray(i * 50, i * 50 + 50);
      expect(row.reduce((sum, value) => sum + value * value, 0) / 50).toBeCloseTo(1, 12);
    }
    const shifted = mapElements(x, (value) => value + 100);
    const bias = tensor([50]);
    const layer = computeTwin('layerNorm', { x: shifted, weight: ones, bias }, { epsilon: 0 });
    closeTo(layer.y!, computeTwin('layerNorm', { x, weight: ones, bias }, { epsilon: 0 }).y!, 9);
    expect(layer.y!.data.subarray(0, 50).reduce((a, b) => a + b, 0)).toBeCloseTo(0, 9);
  });

  test('rope turns back, keeps lengths, and depends on the distance only', () => {
    const angles = Array.from({ length: 8 * 3 }, (_, i) => Math.floor(i / 3) * 10 ** -(i % 3));
    const tables = { cos: tensor([8, 3], angles.map(Math.cos)), sin: tensor([8, 3], angles.map(Math.sin)) };
    const x = randomTensor('x', [8, 6]);
    const { y } = computeTwin('rope', { x, ...tables }, { headSize: 6, inverse: 0 });
    closeTo(computeTwin('rope', { x: y!, ...tables }, { headSize: 6, inverse: 1 }).y!, x);
    const row = randomTensor('row', [6]).data;
    const same = tensor([8, 6], Array.from({ length: 8 }, () => [...row]).flat());
    const turned = computeTwin('rope', { x: same, ...tables }, { headSize: 6, inverse: 0 }).y!.data;
    const dot = (i: number, j: number) =>
      row.reduce((sum, _, l) => sum + turned[i * 6 + l]! * turned[j * 6 + l]!, 0);
    expect(dot(5, 2)).toBeCloseTo(dot(7, 4), 12);
    expect(dot(5, 2)).not.toBeCloseTo(dot(5, 3), 3);
  });

  test('attention: equal scores average the values; the first causal row copies; nothing to see gives zero', () => {
    const attributes = { sequenceLength: 4, headSize: 2, causal: 1, scale: 1 };
    const v = randomTensor('v', [4, 2]);
    const zero = tensor([4, 2]);
    const { o, lse } = computeTwin('attention', { q: zero, k: zero, v }, attributes);
    closeTo(tensor([2], o!.data.subarray(0, 2)), tensor([2], v.data.subarray(0, 2)));
    expect(o!.data[6]).toBeCloseTo((v.data[0]! + v.data[2]! + v.data[4]! + v.data[6]!) / 4, 12);
    expect([...lse!.data]).toEqual([1, 2, 3, 4].map(Math.log));
    const blind = computeTwin(
      'attention',
      { q: zero, k: zero, v, mask: tensor([4], [0, 0, 1, 1]) },
      attributes,
    );
    expect([...blind.o!.data.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    expect([...blind.lse!.data]).toEqual([-Infinity, -Infinity, 0, Math.log(2)]);
  });

  test('grouped-query attention is attention with repeated keys and values', () => {
    const [q, k, v] = [randomTensor('q', [6, 8]), randomTensor('k', [6, 4]), randomTensor('v', [6, 4])];
    const attributes = { sequenceLength: 3, headSize: 2, causal: 1, scale: 0.5 };
    const grouped = computeTwin('attention', { q, k, v }, attributes);
    closeTo(grouped.o!, computeTwin('attention', { q, k: repeatHeads(k), v: repeatHeads(v) }, attributes).o!);
  });

  test('erf at tabulated points', () => {
    const points = [
      [0, 0],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2.5, 0.999593047982555],
      [3.5, 0.9999992569016276],
      [-1, -0.8427007929497149],
    ] as const;
    for (const [x, value] of points) expect(erf(x)).toBeCloseTo(value, 14);
  });

  test('dropout keeps the mean and the stated share', () => {
    const x = tensor([40000], Array<number>(40000).fill(1));
    const attributes = { probability: 0.25, seedLow: 1, seedHigh: 0, tensorId: 2, step: 3 };
    const { y } = computeTwin('dropout', { x }, attributes);
    const kept = y!.data.filter((value) => value !== 0);
    expect(kept.every((value) => value === 1 / 0.75)).toBe(true);
    expect(Math.abs(kept.length - 30000) / Math.sqrt(40000 * 0.25 * 0.75)).toBeLessThan(3.5);
  });
});

describe('losses', () => {
  test('equal logits cost log(classes), ignored rows nothing', () => {
    const logits = tensor([3, 5]);
    const attributes = { lossScale: 0.5, ignoreIndex: -1 };
    const { loss, dLogits } = computeTwin(
      'crossEntropyBackward',
      { logits, targets: tensor([3], [4, -1, 0]) },
      attributes,
    );
    expect(loss!.data[0]).toBeCloseTo(Math.log(5), 12);
    expect([...dLogits!.data.subarray(5, 10)]).toEqual([0, 0, 0, 0, 0]);
    expect(dLogits!.data[4]).toBeCloseTo(0.5 * (1 / 5 - 1), 12);
  });
});

describe('optimizers', () => {
  const adam = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };

  test('the first direction of Adam is the sign of the gradient', () => {
    const gradient = tensor([4], [3, -1e-3, 20, -5]);
    const zero = tensor([4]);
    const { direction } = computeTwin(
      'adamDirection',
      { gradient, expAvg: zero, expAvgSq: zero },
      { ...adam, firstMomentStep: 1, secondMomentStep: 1 },
    );
    closeTo(direction!, mapElements(gradient, Math.sign), 4);
  });

  test('without memory (betas zero) AdamW is a signed step with decay', () => {
    const attributes = { ...adam, beta1: 0, beta2: 0, learningRate: 0.1, updateScale: 2, weightDecay: 0.5 };
    const { weight } = computeTwin(
      'adamW',
      {
        weight: tensor([2], [4, -4]),
        gradient: tensor([2], [3, 9]),
        expAvg: tensor([2], [5, 5]),
        expAvgSq: tensor([2], [5, 5]),
        gradientScale: tensor([1], [0.1]),
      },
      { ...attributes, step: 3, stochasticRounding: 0 },
    );
    closeTo(weight!, tensor([2], [4 * 0.95 - 0.2, -4 * 0.95 - 0.2]), 6);
  });

  test('sgd with momentum is a geometric sum', () => {
    let weight = tensor([1], [0]);
    let momentum = tensor([1], [0]);
    const rates = { learningRate: 1, updateScale: 1, weightDecay: 0 };
    const attributes = { ...rates, momentumFactor: 0.5, stochasticRounding: 0 };
    for (let step = 1; step <= 3; step++) {
      const result = computeTwin('sgd', { weight, gradient: tensor([1], [1]), momentum }, attributes);
      [weight, momentum] = [result.weight!, result.momentum!];
    }
    expect(weight.data[0]).toBe(-(1 + 1.5 + 1.75));
  });

  test('the norm of several tensors, and the factor that clips it', () => {
    let partials = tensor([3], [0, 0, 7]);
    const parts = [tensor([2], [3, 4]), tensor([1, 2], [12, 0])];
    parts.forEach((x, index) => {
      partials = computeTwin('sumOfSquares', { x, partials }, { index }).partials!;
    });
    expect([...partials.data]).toEqual([25, 144, 7]);
    const norm = { partials: tensor([2], [25, 144]) };
    const clipped = computeTwin('gradientNorm', norm, { maxNorm: 6.5 });
    expect(clipped.norm!.data[0]).toBe(13);
    expect(clipped.scale!.data[0]).toBeCloseTo(0.5, 6);
    expect(computeTwin('gradientNorm', norm, { maxNorm: 0 }).scale!.data[0]).toBe(1);
    expect(computeTwin('gradientNorm', norm, { maxNorm: 20 }).scale!.data[0]).toBe(1);
  });
});

test('quantized groups come back within half a step, the largest exactly', () => {
  const x = randomTensor('x', [100], 3);
  const { codes, scales } = computeTwin('quantize', { x }, { groupSize: 32 });
  const { y } = computeTwin('dequantize', { codes: codes!, scales: scales! }, { groupSize: 32 });
  expect(scales!.data.length).toBe(4);
  y!.data.forEach((value, i) =>
    expect(Math.abs(value - x.data[i]!)).toBeLessThanOrEqual(scales!.data[Math.floor(i / 32)]! * 0.50001),
  );
  expect(Math.max(...codes!.data.map(Math.abs))).toBe(127);
  const ties = computeTwin('quantize', { x: tensor([4], [127, 0.5, 1.5, -2.5]) }, { groupSize: 4 });
  expect([...ties.codes!.data]).toEqual([127, 0, 2, -2]);
});
