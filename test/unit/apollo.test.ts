/** APOLLO and APOLLO-Mini against their equations in double precision. */
import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { Graph, parameterId, type ParameterRole } from '../../lib/graph/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { compact, dense, galore, type OptimizerName, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { evaluateNodes } from '../helpers/evaluate-graph.js';
import { planTarget } from '../helpers/plan-target.js';
import { randomTensor } from '../helpers/random.js';
import { type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { projection } from '../reference/projection.js';
import { exact } from '../reference/tensor.js';

const key = { seedLow: 42, seedHigh: 0, tensorId: parameterId('weight'), distribution: 0 };
const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-6];
const norm = (values: Iterable<number>): number => Math.sqrt([...values].reduce((sum, x) => sum + x * x, 0));

/** One weight of a graph, and what a step adds. */
function updateOf(
  shape: readonly [number, number],
  method: ReturnType<typeof dense>,
  { isClipped = false, role = 'query' }: { isClipped?: boolean; role?: ParameterRole } = {},
) {
  const graph = new Graph();
  const info = { role, initializer: { type: 'constant', value: 0 } } as const;
  const weight = graph.parameter('weight', shape, 'f32', info);
  const gradient = graph.input('gradient', shape, 'f32');
  const gradientScale = isClipped ? graph.input('gradientScale', [1], 'f32') : undefined;
  graph.at('layers.0', 'update', () => method.update(graph, weight, gradient, { gradientScale }));
  return { graph, weight, gradient, gradientScale };
}

/** The paper's algorithm for one matrix: states in, the weight after each step out. */
class Equations {
  m: Float64Array | undefined;
  v: Float64Array | undefined;
  stepNorm = 0;

  constructor(
    readonly weight: Tensor,
    readonly options: { rank: number; isMini: boolean; updateScale: number; weightDecay: number },
  ) {}

  step(given: Tensor, step: number, epoch: number, learningRate: number, clipping: number): void {
    const { rank, isMini, updateScale, weightDecay } = this.options;
    const [rows, columns] = this.weight.shape as [number, number];
    const gradient = tensor(
      given.shape,
      given.data.map((value) => value * clipping),
    );
    const isLeft = rows <= columns;
    const p = projection(isLeft ? rows : columns, rank, { ...key, epoch });
    const r = isLeft ? product(p, gradient, exact, true) : product(gradient, p, exact);
    this.m = r.data.map((value, i) => beta1 * (this.m?.[i] ?? 0) + (1 - beta1) * value);
    this.v = r.data.map((value, i) => beta2 * (this.v?.[i] ?? 0) + (1 - beta2) * value ** 2);
    const n = this.m.map(
      (value, i) => value / (1 - beta1 ** step) / (Math.sqrt(this.v![i]! / (1 - beta2 ** step)) + epsilon),
    );
    const [, width] = r.shape as [number, number];
    const channel = (values: Float64Array, index: number): Float64Array =>
      isMini ? values : values.filter((_, i) => (isLeft ? i % width : Math.floor(i / width)) === index);
    const factor = (index: number): number => norm(channel(n, index)) / (norm(channel(r.data, index)) + 1e-8);
    const factors = Array.from({ length: isLeft ? columns : rows }, (_, index) => factor(index));
    let scaled = gradient.data.map(
      (value, i) => value * factors[isLeft ? i % columns : Math.floor(i / columns)]!,
    );
    const length = norm(scaled);
    const limiter = step === 1 ? 1 : Math.max(length / (this.stepNorm + 1e-8), 1.01) / 1.01;
    scaled = scaled.map((value) => value / limiter);
    this.stepNorm = length / limiter;
    for (const [i, value] of scaled.entries())
      this.weight.data[i] =
        this.weight.data[i]! * (1 - learningRate * weightDecay) - learningRate * updateScale * value;
  }
}

const cases = (['apollo', 'apollo-mini'] as const).flatMap((optimizer) =>
  (
    [
      [6, 10],
      [10, 6],
      [6, 6],
    ] as const
  ).flatMap(([rows, columns]) =>
    [false, true].map((isClipped) => [optimizer, rows, columns, isClipped] as const),
  ),
);

describe('twenty steps with changes of the projection', () => {
  test.each(cases)('%s, %d x %d, clipped: %p', (optimizer, rows, columns, isClipped) => {
    const isMini = optimizer === 'apollo-mini';
    const rank = isMini ? 1 : 2;
    const method = dense({ optimizer, rank, refreshInterval: 7, weightDecay: 0.1 });
    const { graph, weight, gradient, gradientScale } = updateOf([rows, columns], method, { isClipped });
    const start = randomTensor('start', [rows, columns]);
    const equations = new Equations(tensor(start.shape, start.data), {
      rank,
      isMini,
      updateScale: isMini ? Math.sqrt(128) : 1,
      weightDecay: 0.1,
    });
    const clock = new StepClock(method);
    const states = new Map(graph.persistentValues.map((value) => [value, tensor(value.shape)]));
    states.set(weight, start);
    let isLimited = false;
    for (let step = 1; step <= 20; step++) {
      // Gradients grow at times, so that the limit of growth is met.
      const g = randomTensor(`gradient ${step}`, [rows, columns], step % 5 === 0 ? 30 : 1);
      const clipping = isClipped ? 1 / step : 1;
      const tensors = new Map(states);
      tensors.set(gradient, g);
      if (gradientScale !== undefined) tensors.set(gradientScale, tensor([1], [clipping]));
      evaluateNodes(graph.nodes, tensors, { ...clock.scalars, learningRate: 0.01 });
      for (const value of states.keys()) states.set(value, tensors.get(value)!);
      const before = equations.stepNorm;
      equations.step(g, step, Math.floor((step - 1) / 7), 0.01, clipping);
      isLimited ||= step > 1 && Math.abs(equations.stepNorm / before - 1.01) < 1e-6;
      clock.completeStep();
    }
    expect(isLimited).toBe(true);
    const found = (name: string) => [...states].find(([value]) => value.name === name)![1].data;
    const worst = (a: Float64Array, b: Float64Array) =>
      Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
    expect(worst(found('weight'), equations.weight.data)).toBeLessThan(1e-12);
    expect(worst(found('weight.expAvg'), equations.m!)).toBeLessThan(1e-12);
    expect(worst(found('weight.expAvgSq'), equations.v!)).toBeLessThan(1e-10); // squares of gradients of 30
    expect(Math.abs(found('weight.stepNorm')[0]! - equations.stepNorm)).toBeLessThan(1e-12);
  });
});

test.each(['apollo', 'apollo-mini'] as const)('%s: other weights are updated by AdamW', (optimizer) => {
  const { graph } = updateOf([6, 10], dense({ optimizer }), { role: 'embedding' });
  expect(graph.nodes.map(({ op }) => op)).toEqual(['adamW']);
});

test.each([
  ['apollo', 2 * 8],
  ['apollo-mini', 2 * 1],
] as const)('%s: states of 2 r m elements and a length for each matrix', (optimizer, ranks) => {
  const config: LlamaConfig = {
    vocabSize: 64,
    hiddenSize: 32,
    intermediateSize: 88,
    numAttentionHeads: 4,
    numHiddenLayers: 3,
  };
  const plan = compile({
    model: llama(config),
    method: dense({ optimizer }),
    target: planTarget,
    batchSize: 2,
    sequenceLength: 16,
    dtype: 'f32',
  });
  const full = 2 * (2 * 64 * 32 + 7 * 32);
  const matrices = 3 * (4 * (ranks * 32 + 1) + 3 * (ranks * 88 + 1));
  expect(memoryReport(plan).byKind.optimizerState).toBe(4 * (full + matrices));
});

describe('refuses', () => {
  test.each([
    ['compact', compact],
    ['galore', galore],
  ] as const)('%s, whose gradients are compressed', (name, create) => {
    for (const optimizer of ['apollo', 'apollo-mini'] satisfies OptimizerName[])
      expect(() => create({ optimizer })).toThrow(
        expect.objectContaining({
          code: 'ERR_COMPACT_CONFIG_VALUE',
          op: 'optimizer',
          received: optimizer,
          message: expect.stringContaining(`${optimizer} does not work with ${name}: it scales the channels`),
        }),
      );
  });

  test('ranks over the smaller side, and two ranks', () => {
    const error = (fields: object) => expect.objectContaining({ code: 'ERR_COMPACT_RANK', ...fields });
    expect(() => updateOf([6, 10], dense({ optimizer: 'apollo', rank: 7 }))).toThrow(error({ op: 'weight' }));
    expect(() => dense({ optimizer: 'apollo', rank: 2, rankRatio: 0.5 })).toThrow(error({}));
    expect(() => dense({ optimizer: 'apollo-mini', rank: 0 })).toThrow(error({ op: 'rank' }));
    expect(() => dense({ optimizer: 'apollo-mini', rankRatio: 0.5 })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' }),
    );
  });
});
