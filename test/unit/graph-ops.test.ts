/** Builders of all ops against their signatures. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { fill } from '../../lib/graph/ops/fill.js';
import * as ops from '../../lib/graph/ops/index.js';
import {
  type DType,
  Graph,
  type Node,
  opDefinitions,
  type Value,
  producersOf,
} from '../../lib/graph/index.js';

/** Makes a value named as the operand that it is to become. */
type Make = (name: string, shape: readonly number[], dtype?: DType) => Value;

const projection = { seed: 2 ** 40 + 3, tensorId: 7, rank: 4, distribution: 'rademacher' } as const;
const rounding = { seed: 5, tensorId: 1, step: 3 };
const moments = (make: Make) => ({
  expAvg: { values: make('expAvg', [6, 8]) },
  expAvgSq: { values: make('expAvgSq', [6, 8]) },
});
const attentionOperands = (make: Make) =>
  [make('q', [12, 8]), make('k', [12, 4]), make('v', [12, 4])] as const;
const hiddenKeys = (make: Make) => ({
  mask: make('mask', [12], 'u8'),
  firstKeys: make('firstKeys', [12], 'i32'),
});
const attentionAttributes = { sequenceLength: 6, headSize: 2, causal: 1, scale: 1 };
const lossOperands = (make: Make) =>
  [make('x', [5, 8]), make('weight', [9, 8]), make('targets', [5], 'i32')] as const;
const lossAttributes = { lossScale: 1, ignoreIndex: -100, chunkTokens: 4 };

const sequenceOperands = (make: Make) =>
  [make('x', [6, 8]), make('weight', [9, 8]), make('targets', [6], 'i32')] as const;
const sequenceGradients = (make: Make) => [make('lse', [6], 'f32'), make('dLogProbabilities', [2])] as const;
const sequenceAttributes = { sequenceLength: 3, ignoreIndex: -100, chunkTokens: 4 };

const int8Operands = (make: Make, shape: readonly [number, number]) => ({
  codes: make('codes', shape, 'i8'),
  scales: make('scales', [Math.ceil((shape[0] * shape[1]) / 16)]),
});
const nf4Operands = (make: Make) => ({
  columns: 7,
  codes: make('codes', [6, 4], 'u8'),
  magnitudes: make('magnitudes', [1, 256], 'u8'),
  ranges: make('ranges', [1, 2]),
});

/** One call of every op; a second one with the optional operands where there are some. */
const calls: Readonly<Record<string, readonly ((make: Make, graph: Graph) => unknown)[]>> = {
  matmul: [
    (make) => ops.matmul(make('a', [5, 6]), make('b', [8, 6]), { transposeB: true, dtype: 'bf16' }),
    (make, graph) => {
      const product = ops.matmul(make('a', [6, 5]), make('b', [6, 8]), { transposeA: true });
      return ops.withSquares(producersOf(graph.nodes).get(product)!, make('squares', [3]), 2);
    },
  ],
  matmulInt8: [
    (make) => ops.matmulInt8(make('a', [5, 8]), int8Operands(make, [6, 8]), 16, { transposeB: true }),
  ],
  matmulNf4: [(make) => ops.matmulNf4(make('a', [5, 6]), nf4Operands(make), { dtype: 'bf16' })],
  project: [(make) => ops.project(make('x', [5, 8]), projection, 0)],
  projectLeft: [(make) => ops.projectLeft(make('x', [5, 8]), projection, 0, { name: 'z', kind: 'gradient' })],
  orthonormalize: [(make) => ops.orthonormalize(make('x', [8, 5]), 'bf16')],
  projectBackUpdate: [
    (make) =>
      ops.projectBackUpdate(make('weight', [6, 8], 'bf16'), make('direction', [4, 8]), projection, {
        epoch: 1,
        learningRate: 0.1,
        stochasticRounding: rounding,
      }),
  ],
  projectTransfer: [
    (make) => ops.projectTransfer(make('moment', [4, 8]), projection, { rows: 6, oldEpoch: 0, newEpoch: 1 }),
  ],
  channelFactors: [undefined, 'gradientScale'].map((scale) => (make: Make) => {
    const [gradient, compressed, direction] = [
      make('gradient', [6, 8]),
      make('compressed', [4, 8]),
      make('direction', [4, 8]),
    ];
    return ops.channelFactors(gradient, compressed, direction, {
      axis: 'column',
      previousNorm: make('previousNorm', [1]),
      epsilon: 1e-8,
      growthLimit: 1.01,
      gradientScale: scale === undefined ? undefined : make(scale, [1]),
    });
  }),
  scaleChannels: [(make) => ops.scaleChannels(make('x', [6, 8]), make('factors', [6]), 'row')],
  embedding: [(make) => ops.embedding(make('table', [9, 8]), make('ids', [5], 'i32'))],
  embeddingInt8: [
    (make) => ops.embeddingInt8(int8Operands(make, [9, 8]), 16, make('ids', [5], 'i32'), 'bf16'),
  ],
  embeddingBackward: [
    (make) => ops.embeddingBackward(make('ids', [5], 'i32'), make('dy', [5, 8]), 9, 'bf16'),
    (make) =>
      ops.embeddingBackward(make('ids', [5], 'i32'), make('dy', [5, 8]), 9, 'bf16', { first: 4, count: 2 }),
  ],
  rmsNorm: [(make) => ops.rmsNorm(make('x', [5, 8]), make('weight', [8]), 1e-6)],
  addRmsNorm: [(make) => ops.addRmsNorm(make('a', [5, 8]), make('b', [5, 8]), make('weight', [8]), 1e-6)],
  rmsNormBackward: [false, true].map((hasResidual) => (make: Make) => {
    const operands = {
      x: make('x', [5, 8]),
      weight: make('weight', [8]),
      rstd: make('rstd', [5]),
      dy: make('dy', [5, 8]),
    };
    const residualGradient = hasResidual ? make('residualGradient', [5, 8]) : undefined;
    return ops.rmsNormBackward({ ...operands, residualGradient }, 'bf16');
  }),
  layerNorm: [(make) => ops.layerNorm(make('x', [5, 8]), make('weight', [8]), make('bias', [8]), 1e-6)],
  layerNormBackward: [
    (make) =>
      ops.layerNormBackward(
        {
          x: make('x', [5, 8]),
          weight: make('weight', [8]),
          mean: make('mean', [5]),
          rstd: make('rstd', [5]),
          dy: make('dy', [5, 8]),
        },
        'bf16',
      ),
  ],
  rope: [false, true].map((hasPositions) => (make: Make) => {
    const positions = hasPositions ? make('positions', [12], 'i32') : undefined;
    return ops.rope(make('x', [12, 8]), make('cos', [6, 2]), make('sin', [6, 2]), { headSize: 4, positions });
  }),
  attention: [false, true].map((isHidden) => (make: Make) => {
    const hidden = isHidden ? hiddenKeys(make) : {};
    return ops.attention(...attentionOperands(make), { sequenceLength: 6, headSize: 2, ...hidden });
  }),
  attentionBackward: [false, true].map((isHidden) => (make: Make) => {
    const [q, k, v] = attentionOperands(make);
    const rest = { o: make('o', [12, 8]), lse: make('lse', [12, 4]), dO: make('dO', [12, 8]) };
    const hidden = isHidden ? hiddenKeys(make) : {};
    return ops.attentionBackward({ q, k, v, ...rest, ...hidden }, attentionAttributes);
  }),
  cachedAttention: [
    (make) => {
      const cache = { keys: make('keyCache', [36, 4]), values: make('valueCache', [36, 4]) };
      const options = { positions: make('positions', [12], 'i32'), newTokens: 4, headSize: 2 };
      return ops.cachedAttention(...attentionOperands(make), cache, options);
    },
  ],
  swiglu: [(make) => ops.swiglu(make('gate', [5, 8]), make('up', [5, 8]))],
  swigluBackward: [
    (make) => ops.swigluBackward(make('gate', [5, 8]), make('up', [5, 8]), make('dy', [5, 8])),
  ],
  silu: [(make) => ops.silu(make('x', [5, 8]))],
  siluBackward: [(make) => ops.siluBackward(make('x', [5, 8]), make('dy', [5, 8]))],
  geglu: [(make) => ops.geglu(make('gate', [5, 8]), make('up', [5, 8]))],
  gegluBackward: [(make) => ops.gegluBackward(make('gate', [5, 8]), make('up', [5, 8]), make('dy', [5, 8]))],
  tanh: [(make) => ops.tanh(make('x', [5, 8])), (make) => ops.softCap(make('x', [5, 8]), 30)],
  tanhBackward: [(make) => ops.tanhBackward(make('y', [5, 8]), make('dy', [5, 8]))],
  squaredError: [(make) => ops.squaredError(make('predictions', [5, 1]), make('targets', [5], 'f32'))],
  squaredErrorBackward: [
    (make) =>
      ops.squaredErrorBackward(make('predictions', [5, 1]), make('targets', [5], 'f32'), { lossScale: 1 }),
  ],
  gelu: [(make) => ops.gelu(make('x', [5, 8]), { approximate: true })],
  geluBackward: [(make) => ops.geluBackward(make('x', [5, 8]), make('dy', [5, 8]))],
  add: [(make) => ops.add(make('a', [5, 8]), make('b', [5, 8]))],
  multiply: [(make) => ops.multiply(make('a', [5, 8]), make('b', [5, 8]))],
  scale: [(make) => ops.scale(make('x', [5, 8]), 2), (make) => ops.reshape(make('x', [5, 8]), [10, 4])],
  clip: [(make) => ops.clip(make('x', [5, 8]), 0.5)],
  bias: [(make) => ops.bias(make('x', [5, 8]), make('bias', [8]))],
  columnSum: [(make) => ops.columnSum(make('x', [5, 8]), 'bf16')],
  dropout: [(make) => ops.dropout(make('x', [5, 8]), { probability: 0.1, ...rounding })],
  firstRows: [(make) => ops.firstRows(make('x', [6, 8]), 3)],
  firstRowsBackward: [(make) => ops.firstRowsBackward(make('dy', [3, 8]), 6)],
  selectRow: [(make) => ops.selectRow(make('x', [5, 8]), { scalar: 'row' })],
  linearCrossEntropy: [(make) => ops.linearCrossEntropy(...lossOperands(make))],
  linearCrossEntropyBackward: [
    (make) => ops.linearCrossEntropyBackward(...lossOperands(make), lossAttributes, 'bf16'),
  ],
  linearCrossEntropyInputBackward: [
    (make) => ops.linearCrossEntropyInputBackward(...lossOperands(make), lossAttributes),
  ],
  linearCrossEntropyRowsBackward: [
    (make) => {
      const [x, weight, targets] = lossOperands(make);
      const attributes = { ...lossAttributes, first: 3 };
      return ops.linearCrossEntropyRowsBackward(
        x,
        weight,
        targets,
        make('lse', [5], 'f32'),
        attributes,
        'bf16',
      );
    },
  ],
  linearCrossEntropyInt8: [
    (make) => {
      const [x, , targets] = lossOperands(make);
      return ops.linearCrossEntropyInt8(x, int8Operands(make, [9, 8]), 16, targets);
    },
  ],
  linearCrossEntropyInt8Backward: [
    (make) => {
      const [x, , targets] = lossOperands(make);
      const attributes = { ...lossAttributes, groupSize: 16 };
      return ops.linearCrossEntropyInt8Backward(x, int8Operands(make, [9, 8]), targets, attributes);
    },
  ],
  linearLogProbabilities: [
    (make) => ops.linearLogProbabilities(...sequenceOperands(make), { sequenceLength: 3, softCap: 2 }),
  ],
  linearLogProbabilitiesInputBackward: [
    (make) =>
      ops.linearLogProbabilitiesInputBackward(
        ...sequenceOperands(make),
        ...sequenceGradients(make),
        sequenceAttributes,
      ),
  ],
  linearLogProbabilitiesWeightBackward: [
    (make) =>
      ops.linearLogProbabilitiesWeightBackward(
        ...sequenceOperands(make),
        ...sequenceGradients(make),
        { ...sequenceAttributes, first: 3 },
        'bf16',
      ),
  ],
  preferenceLoss: [
    (make) => ops.preferenceLoss(make('logProbabilities', [4]), make('reference', [4]), { beta: 0.2 }),
  ],
  preferenceLossBackward: [
    (make) =>
      ops.preferenceLossBackward(make('logProbabilities', [4]), make('reference', [4]), {
        beta: 0.2,
        labelSmoothing: 0.1,
        lossScale: 1,
      }),
  ],
  crossEntropy: [(make) => ops.crossEntropy(make('logits', [5, 8]), make('targets', [5], 'i32'))],
  crossEntropyBackward: [
    (make) =>
      ops.crossEntropyBackward(make('logits', [5, 8]), make('targets', [5], 'i32'), {
        lossScale: 1,
        ignoreIndex: 0,
      }),
  ],
  adafactorDirection: [false, true].map((isScaled) => (make: Make) => {
    const parameter = isScaled ? make('parameter', [6, 8], 'bf16') : undefined;
    return ops.adafactorDirection(
      make('gradient', [6, 8]),
      { rows: make('rows', [6]), columns: make('columns', [8]) },
      {
        decayExponent: 0.8,
        epsilon: 1e-30,
        clipThreshold: 1,
        step: 3,
        parameterScale: parameter && { parameter, least: 1e-3 },
      },
    );
  }),
  adamDirection: [false, true].map((hasScale) => (make: Make) => {
    const constants = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, firstMomentStep: 1, secondMomentStep: 2 };
    const gradientScale = hasScale ? make('gradientScale', [1]) : undefined;
    return ops.adamDirection(make('gradient', [6, 8]), moments(make), { ...constants, gradientScale });
  }),
  adamW: [false, true].map((hasScale) => (make: Make) => {
    const constants = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, step: 3 };
    const gradientScale = hasScale ? make('gradientScale', [1]) : undefined;
    const stochasticRounding = hasScale ? rounding : undefined;
    return ops.adamW(make('weight', [6, 8], 'bf16'), make('gradient', [6, 8]), moments(make), {
      ...constants,
      gradientScale,
      stochasticRounding,
    });
  }),
  sgd: [false, true].map((isFull) => (make: Make) => {
    const [weight, gradient] = [make('weight', [6, 8], 'bf16'), make('gradient', [6, 8])];
    if (!isFull) return ops.sgd(weight, gradient, { learningRate: 0.1 });
    return ops.sgd(weight, gradient, {
      learningRate: 0.1,
      momentum: { buffer: make('momentum', [6, 8]), factor: 0.9 },
      gradientScale: make('gradientScale', [1]),
      stochasticRounding: rounding,
    });
  }),
  projectBackUpdateInt8: [
    (make) =>
      ops.projectBackUpdateInt8(
        int8Operands(make, [6, 8]),
        16,
        make('direction', [4, 8], 'bf16'),
        projection,
        {
          epoch: 0,
          learningRate: 0.1,
          stochasticRounding: rounding,
        },
      ),
  ],
  weightUpdateInt8: [
    (make) =>
      ops.weightUpdateInt8(int8Operands(make, [6, 8]), 16, make('direction', [6, 8], 'bf16'), {
        learningRate: 0.1,
        gradientScale: make('gradientScale', [1]),
        stochasticRounding: rounding,
      }),
  ],
  momentum: [false, true].map((isFull) => (make: Make) => {
    const [gradient, buffer] = [make('gradient', [6, 8]), make('buffer', [6, 8])];
    if (!isFull) return ops.momentum(gradient, undefined, { factor: 0 });
    const gradientScale = make('gradientScale', [1]);
    return ops.momentum(gradient, buffer, { factor: 0.9, dampening: 0.9, nesterov: true, gradientScale });
  }),
  lionDirection: [false, true].map((hasScale) => (make: Make) => {
    const gradientScale = hasScale ? make('gradientScale', [1]) : undefined;
    const options = { beta1: 0.9, beta2: 0.99, gradientScale };
    return ops.lionDirection(make('gradient', [6, 8]), make('average', [6, 8]), options);
  }),
  divideByNorm: (['matrix', 'columns', 'rows'] as const).map(
    (of) => (make: Make) => ops.divideByNorm(make('x', [6, 8]), { of, epsilon: 1e-8, dtype: 'bf16' }),
  ),
  weightUpdate: [false, true].map((isFull) => (make: Make) => {
    const [weight, direction] = [make('weight', [6, 8], 'bf16'), make('direction', [6, 8])];
    return ops.weightUpdate(weight, direction, {
      learningRate: 0.1,
      ...(isFull && { gradientScale: make('gradientScale', [1]), stochasticRounding: rounding }),
    });
  }),
  sumOfSquares: [(make) => ops.sumOfSquares(make('x', [5, 8], 'bf16'), make('partials', [3]), 2)],
  gradientNorm: [(make) => ops.gradientNorm(make('partials', [3]), 1)],
  cast: [(make) => ops.cast(make('x', [5, 8]), 'bf16')],
  copy: [(make) => ops.copy(make('x', [5, 8]))],
  fill: [
    (_make, graph) => fill(graph, { name: 'y', shape: [5], dtype: 'f32' }, 1),
    (_make, graph) => ops.fillPersistent(graph.state('y', [5], 'f32', 'optimizerState'), 0),
  ],
  randomNormal: [
    (_make, graph) =>
      ops.randomNormalPersistent(graph.state('y', [5], 'bf16', 'parameter'), {
        ...rounding,
        standardDeviation: 0.02,
      }),
  ],
  quantizeNf4: [(make) => ops.quantizeNf4(make('x', [6, 8]))],
  dequantizeNf4: [(make) => ops.dequantizeNf4(nf4Operands(make), 'bf16')],
  segments: [(make) => ops.segments(make('x', [5, 8]), ops.siluOp.slopeSteps!)],
  segmentsBackward: [
    (make) => ops.segmentsBackward(make('codes', [10], 'u8'), make('dy', [5, 8]), ops.siluOp.slopeSteps!),
  ],
  quantizeFp8: [(make) => ops.quantizeFp8(make('x', [5, 8]), 16)],
  dequantizeFp8: [
    (make) =>
      ops.dequantizeFp8({ codes: make('codes', [5, 8], 'u8'), scales: make('scales', [3]) }, 16, 'bf16'),
  ],
  quantize: [(make) => ops.quantize(make('x', [5, 8]), 16)],
  dequantize: [
    (make) => ops.dequantize({ codes: make('codes', [5, 8], 'i8'), scales: make('scales', [3]) }, 16, 'bf16'),
  ],
};

function call(build: (make: Make, graph: Graph) => unknown): Node {
  const graph = new Graph();
  build((name, shape, dtype = 'f32') => graph.input(name, shape, dtype), graph);
  const [node, ...others] = graph.nodes.toReversed();
  for (const { op } of others) expect(op).toBe(node!.op); // what the call is built from
  return node!;
}

function flops(build: (make: Make, graph: Graph) => unknown): number {
  const node = call(build);
  return opDefinitions.get(node.op)!.flops(node);
}

test('every definition is in the index, and there is a call of each', () => {
  const folder = join(__dirname, '../../lib/graph/ops');
  const written = readdirSync(folder).flatMap((file) => [
    ...readFileSync(join(folder, file), 'utf8').matchAll(/defineOp\(\{\n {2}name: '(\w+)'/g),
  ]);
  expect(written.map(([, name]) => name!).sort()).toEqual([...opDefinitions.keys()].sort());
  expect(Object.keys(calls).sort()).toEqual([...opDefinitions.keys()].sort());
});

describe.each([...opDefinitions.values()])('$name', (definition) => {
  const { signature } = definition;
  const nodes = calls[definition.name]!.map(call);

  test('operands are those of the signature, in its order', () => {
    for (const { op, inputs } of nodes) {
      expect(op).toBe(definition.name);
      for (const [index, { name }] of signature.inputs.entries())
        if (inputs[index] !== undefined) expect(inputs[index].name).toBe(name);
    }
  });

  test('attributes are known, and those without a default are given', () => {
    for (const { attributes } of nodes) {
      const known = Object.keys(signature.attributes);
      expect(known).toEqual(expect.arrayContaining(Object.keys(attributes)));
      for (const name of known)
        if (signature.attributes[name] === undefined) expect(attributes).toHaveProperty(name);
    }
  });

  test('what it names is there', () => {
    const { updates, accumulators, inPlace, identity } = definition;
    for (const [output, input] of [...updates, ...accumulators, ...inPlace]) {
      expect(signature.outputs[output]).toBeDefined();
      expect(signature.inputs[input]).toBeDefined();
    }
    expect(Object.keys(signature.attributes)).toEqual(expect.arrayContaining([...identity]));
    expect(accumulators.length > 0).toBe('accumulate' in signature.attributes);
  });
});

describe('wrong operands are refused with a typed error', () => {
  const graph = new Graph();
  const make = (shape: readonly number[], dtype: DType = 'f32') => graph.input('operand', shape, dtype);
  const [wide, tall, vector, ids] = [make([4, 6]), make([6, 4]), make([4]), make([4], 'i32')];
  test.each<[string, () => unknown, string]>([
    ['inner sizes of a product', () => ops.matmul(wide, wide), 'ERR_COMPACT_SHAPE'],
    ['a vector in a product', () => ops.matmul(wide, vector), 'ERR_COMPACT_SHAPE'],
    ['two dtypes in a product', () => ops.matmul(wide, make([6, 4], 'bf16')), 'ERR_COMPACT_TYPE'],
    [
      'an inner size of a product with codes',
      () => ops.matmulInt8(wide, { codes: make([4, 6], 'i8'), scales: make([3]) }, 8),
      'ERR_COMPACT_SHAPE',
    ],
    [
      'groups that are no power of two',
      () => ops.matmulInt8(wide, { codes: make([6, 4], 'i8'), scales: make([2]) }, 12),
      'ERR_COMPACT_ARGUMENT',
    ],
    [
      'scales of other groups',
      () => ops.matmulInt8(wide, { codes: make([6, 4], 'i8'), scales: make([2]) }, 8),
      'ERR_COMPACT_SHAPE',
    ],
    [
      'codes of other columns',
      () =>
        ops.dequantizeNf4(
          {
            columns: 5,
            codes: make([4, 2], 'u8'),
            magnitudes: make([1, 256], 'u8'),
            ranges: make([1, 2]),
          },
          'f32',
        ),
      'ERR_COMPACT_SHAPE',
    ],
    ['ids that are not integers', () => ops.embedding(wide, vector), 'ERR_COMPACT_TYPE'],
    ['a norm weight of another width', () => ops.rmsNorm(wide, vector, 1e-6), 'ERR_COMPACT_SHAPE'],
    ['a residual of another shape', () => ops.addRmsNorm(wide, tall, make([6]), 1e-6), 'ERR_COMPACT_SHAPE'],
    [
      'a residual of another dtype',
      () => ops.addRmsNorm(wide, make([4, 6], 'bf16'), make([6]), 1e-6),
      'ERR_COMPACT_TYPE',
    ],
    ['a rank over the width', () => ops.project(tall, { ...projection, rank: 5 }, 0), 'ERR_COMPACT_RANK'],
    ['a rank of zero', () => ops.project(tall, { ...projection, rank: 0 }, 0), 'ERR_COMPACT_RANK'],
    ['a seed below zero', () => ops.project(tall, { ...projection, seed: -1 }, 0), 'ERR_COMPACT_ARGUMENT'],
    ['a sum of different sizes', () => ops.add(wide, vector), 'ERR_COMPACT_SHAPE'],
    ['a shape of more numbers', () => ops.reshape(wide, [5, 6]), 'ERR_COMPACT_SHAPE'],
    ['an element-wise op on integers', () => ops.silu(ids), 'ERR_COMPACT_TYPE'],
    ['parts that do not divide the rows', () => ops.firstRows(tall, 7), 'ERR_COMPACT_ARGUMENT'],
    ['a soft cap of nothing', () => ops.softCap(wide, 0), 'ERR_COMPACT_ARGUMENT'],
    [
      'scores capped at less than nothing',
      () => ops.attention(wide, wide, wide, { sequenceLength: 2, headSize: 2, softCap: -1 }),
      'ERR_COMPACT_ARGUMENT',
    ],
    [
      'an odd head',
      () => ops.rope(wide, make([2, 1]), make([2, 1]), { headSize: 3 }),
      'ERR_COMPACT_ARGUMENT',
    ],
    [
      'a part of a sequence',
      () => ops.attention(wide, wide, wide, { sequenceLength: 3, headSize: 2 }),
      'ERR_COMPACT_ARGUMENT',
    ],
    [
      'key heads that do not divide the query heads',
      () => ops.attention(wide, tall, tall, { sequenceLength: 2, headSize: 2 }),
      'ERR_COMPACT_SHAPE',
    ],
    ['a loss with too few targets', () => ops.crossEntropy(tall, ids), 'ERR_COMPACT_SHAPE'],
    [
      'sequences that are not whole',
      () => ops.linearLogProbabilities(tall, tall, ids, { sequenceLength: 4 }),
      'ERR_COMPACT_ARGUMENT',
    ],
    ['half a pair', () => ops.preferenceLoss(make([3]), make([3])), 'ERR_COMPACT_SHAPE'],
    ['a sure dropout', () => ops.dropout(wide, { probability: 1, ...rounding }), 'ERR_COMPACT_ARGUMENT'],
    [
      'squares out of range',
      () =>
        ops.withSquares(
          wide.graph.collect(() => ops.matmul(wide, wide, { transposeB: true })).nodes[0]!,
          vector,
          4,
        ),
      'ERR_COMPACT_ARGUMENT',
    ],
    ['a partial sum out of range', () => ops.sumOfSquares(wide, vector, 4), 'ERR_COMPACT_ARGUMENT'],
    ['an operand too few', () => graph.apply(ops.addOp, [wide], {}, [wide]), 'ERR_COMPACT_ARGUMENT'],
    [
      'an operand that is missing',
      () => graph.apply(ops.addOp, [wide, undefined], {}, [wide]),
      'ERR_COMPACT_TYPE',
    ],
    [
      'an output too many',
      () => graph.apply(ops.addOp, [wide, wide], {}, [wide, wide]),
      'ERR_COMPACT_ARGUMENT',
    ],
    [
      'an output of another size',
      () => graph.apply(ops.addOp, [wide, wide], {}, [vector]),
      'ERR_COMPACT_SHAPE',
    ],
    ['an output of another dtype', () => graph.apply(ops.addOp, [wide, wide], {}, [ids]), 'ERR_COMPACT_TYPE'],
    [
      'integers filled with a number',
      () => ops.fillPersistent(graph.state('integers', [4], 'i32', 'input'), 0),
      'ERR_COMPACT_TYPE',
    ],
    [
      'an initial value of a value that is not persistent',
      () => ops.fillPersistent(wide, 0),
      'ERR_COMPACT_ARGUMENT',
    ],
    [
      'a value of another graph',
      () => ops.add(new Graph().input('stranger', [4], 'f32'), vector),
      'ERR_COMPACT_ARGUMENT',
    ],
  ])('%s', (_what, build, code) => {
    expect(build).toThrow(expect.objectContaining({ name: 'CompactError', code }));
  });
});

test('floating-point operations', () => {
  // 2 m n k in every orientation.
  for (const [transposeA, transposeB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const)
    expect(
      flops((make) =>
        ops.matmul(make('a', transposeA ? [7, 5] : [5, 7]), make('b', transposeB ? [3, 7] : [7, 3]), {
          transposeA,
          transposeB,
        }),
      ),
    ).toBe(2 * 5 * 3 * 7);
  expect(flops(calls.project![0]!)).toBe(2 * 5 * 8 * 4);
  expect(flops(calls.projectBackUpdate![0]!)).toBe(2 * 6 * 8 * 4);
  expect(flops(calls.projectLeft![0]!)).toBe(2 * 5 * 8 * 4);
  expect(flops(calls.projectTransfer![0]!)).toBe(2 * (2 * 6 * 4 * 8));
  // Two products over the lower triangle of 6 x 6 positions, two sequences, four heads of two: half of all pairs.
  expect(flops(calls.attention![0]!)).toBe(2 * (2 * 2 * 4 * 6 * 6 * 2) * 0.5);
  expect(flops(calls.addRmsNorm![0]!)).toBe(flops(calls.add![0]!) + flops(calls.rmsNorm![0]!));
  expect(flops(calls.linearCrossEntropyBackward![0]!)).toBe(3 * 2 * 5 * 8 * 9);
  for (const [op, builds] of Object.entries(calls)) {
    const [node] = builds.map(call) as [Node];
    expect({ op, isCount: Number.isSafeInteger(opDefinitions.get(op)!.flops(node)) }).toEqual({
      op,
      isCount: true,
    });
  }
});

test('equal calls of pure ops are one node, others are not', () => {
  const graph = new Graph();
  const x = graph.input('x', [5, 8], 'f32');
  const z = ops.project(x, projection, { scalar: 'projectionEpoch' });
  expect(ops.project(x, { ...projection }, { scalar: 'projectionEpoch' })).toBe(z);
  expect(ops.project(x, { ...projection, tensorId: 8 }, { scalar: 'projectionEpoch' })).not.toBe(z);
  expect(ops.cast(x, 'bf16')).not.toBe(ops.cast(x, 'f32'));
  const zeros = { name: 'zeros', shape: [3], dtype: 'f32' } as const;
  expect(fill(graph, zeros, 0)).not.toBe(fill(graph, zeros, 0));
  expect(
    graph.at('layers.0', 'backward', () => ops.project(x, projection, { scalar: 'projectionEpoch' })),
  ).not.toBe(z);
});
