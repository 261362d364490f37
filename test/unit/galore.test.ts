/** GaLore: what it keeps and computes, against the paper's equations in double precision. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions, type PlanEntry } from '../../lib/compile/index.js';
import { Graph, type ParameterRole, producersOf, type Value } from '../../lib/graph/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { galore, type GaloreOptions, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { evaluateNodes } from '../helpers/evaluate-graph.js';
import { planTarget } from '../helpers/plan-target.js';
import { randomTensor } from '../helpers/random.js';
import { leadingProjector } from '../helpers/svd.js';
import { type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { exact } from '../reference/tensor.js';

const transposed = (matrix: Tensor): Tensor => {
  const [rows, columns] = matrix.shape as [number, number];
  return tensor(
    [columns, rows],
    Array.from(
      { length: rows * columns },
      (_, i) => matrix.data[(i % rows) * columns + Math.floor(i / rows)]!,
    ),
  );
};
const times = (a: Tensor, b: Tensor): Tensor => product(a, b, exact);
const largest = (values: Iterable<number>): number =>
  [...values].reduce((a, b) => Math.max(a, Math.abs(b)), 0);
const difference = (a: Tensor, b: Tensor): number => largest(a.data.map((value, i) => value - b.data[i]!));

/** What galore does with one weight in a step of its own graph. */
function updateOf(shape: readonly [number, number], options: GaloreOptions, role: ParameterRole = 'query') {
  const method = galore(options);
  const build = (rules: Pick<typeof method, 'update'>) => {
    const graph = new Graph();
    const info = { role, initializer: { type: 'constant', value: 0 } } as const;
    const weight = graph.parameter('weight', shape, 'f32', info);
    const gradient = graph.input('gradient', shape, 'f32');
    graph.at('layers.0', 'update', () => rules.update(graph, weight, gradient, { gradientScale: undefined }));
    return { graph, weight, gradient };
  };
  return { plain: build(method), refresh: build(method.variants!.refresh as typeof method) };
}

const stateOf = (graph: Graph, name: string): Value =>
  graph.persistentValues.find((value) => value.name === `weight.${name}`)!;

/** A matrix with chosen singular values: leading ones far above the rest. */
function withGap(rows: number, columns: number, values: readonly number[], noise: number): Tensor {
  const left = randomTensor(`left ${rows} ${columns}`, [rows, values.length]);
  const right = randomTensor(`right ${rows} ${columns}`, [values.length, columns]);
  const scaled = tensor(
    right.shape,
    right.data.map((value, i) => value * values[Math.floor(i / columns)]!),
  );
  const rest = randomTensor(`rest ${rows} ${columns}`, [rows, columns], noise);
  return tensor(
    [rows, columns],
    times(left, scaled).data.map((value, i) => value + rest.data[i]!),
  );
}

describe('a step', () => {
  const shapes = [
    [12, 20],
    [20, 12],
    [12, 12],
  ] as const;

  test.each(shapes)(
    'of a refresh has the leading singular subspace of the smaller side (%d x %d)',
    (rows, columns) => {
      const shape = [rows, columns] as const;
      const rank = 3;
      const { graph, weight, gradient } = updateOf(shape, { rank }).refresh;
      const g = withGap(...shape, [5, 4, 3], 0.01);
      const tensors = new Map([
        [weight, tensor(shape)],
        [gradient, g],
      ]);
      for (const value of graph.persistentValues) tensors.set(value, tensor(value.shape));
      evaluateNodes(graph.nodes, tensors, { learningRate: 0.1, step: 1 });
      const basis = tensors.get(stateOf(graph, 'subspace'))!;
      expect(basis.shape).toEqual([12, rank]);
      const found = times(basis, transposed(basis));
      const right = leadingProjector(shape[0] <= shape[1] ? g : transposed(g), rank);
      expect(difference(found, right)).toBeLessThan(1e-9); // (0.01 / 3)^4 of two power iterations, and a little
    },
  );

  test.each(shapes)('given a subspace, is that of the equations (%d x %d)', (rows, columns) => {
    const shape = [rows, columns] as const;
    const [alpha, learningRate, beta1, beta2, epsilon, decay] = [0.25, 0.1, 0.9, 0.999, 1e-6, 0.02];
    const { graph, weight, gradient } = updateOf(shape, { rank: 3, weightDecay: decay }).plain;
    const isLeft = shape[0] <= shape[1];
    const basis = randomTensor('basis', [12, 3], 0.3);
    const w = randomTensor('w', shape);
    const g = randomTensor('g', shape);
    const compressedShape = isLeft ? [3, shape[1]] : [shape[0], 3];
    const m = randomTensor('m', compressedShape, 0.1);
    const v = tensor(
      compressedShape,
      randomTensor('v', compressedShape).data.map((value) => value ** 2),
    );
    const tensors = new Map([
      [weight, w],
      [gradient, g],
      [stateOf(graph, 'subspace'), basis],
      [stateOf(graph, 'expAvg'), m],
      [stateOf(graph, 'expAvgSq'), v],
    ]);
    evaluateNodes(graph.nodes, tensors, { learningRate, step: 7 });

    const r = isLeft ? times(transposed(basis), g) : times(g, basis);
    const first = r.data.map((value, i) => beta1 * m.data[i]! + (1 - beta1) * value);
    const second = r.data.map((value, i) => beta2 * v.data[i]! + (1 - beta2) * value ** 2);
    const n = tensor(
      compressedShape,
      first.map(
        (value, i) => value / (1 - beta1 ** 7) / (Math.sqrt(second[i]! / (1 - beta2 ** 7)) + epsilon),
      ),
    );
    const back = isLeft ? times(basis, n) : times(n, transposed(basis));
    const right = w.data.map(
      (value, i) => value * (1 - learningRate * decay) - learningRate * alpha * back.data[i]!,
    );
    expect(difference(tensors.get(weight)!, tensor(shape, right))).toBeLessThan(1e-12);
    expect(difference(tensors.get(stateOf(graph, 'expAvg'))!, tensor(compressedShape, first))).toBeLessThan(
      1e-12,
    );
    expect(
      difference(tensors.get(stateOf(graph, 'expAvgSq'))!, tensor(compressedShape, second)),
    ).toBeLessThan(1e-12);
    expect(tensors.get(stateOf(graph, 'subspace'))).toBe(basis);
  });

  test('of other weights is that of the optimizer', () => {
    for (const { graph } of Object.values(updateOf([12, 20], { rank: 3 }, 'embedding')))
      expect(graph.nodes.map(({ op }) => op)).toEqual(['adamW']);
    const { graph } = updateOf([12, 20], { rank: 3, targetModules: ['down'] }).plain;
    expect(graph.nodes.map(({ op }) => op)).toEqual(['adamW']);
  });

  test('is another projection at each refresh', () => {
    const { graph } = updateOf([12, 20], { rank: 3 }).refresh;
    const made = producersOf(graph.nodes).get(stateOf(graph, 'subspace'));
    expect(made!.op).toBe('orthonormalize');
    expect(graph.nodes.find(({ op }) => op === 'project')!.attributes.epoch).toEqual({ scalar: 'step' });
  });
});

describe('the clock', () => {
  const variants = (clock: StepClock, steps: number) =>
    Array.from({ length: steps }, () => {
      const { variant } = clock;
      clock.completeStep();
      return variant;
    });

  test('refreshes at the first step and every refreshInterval steps', () => {
    const found = variants(new StepClock(galore({ refreshInterval: 3 })), 7);
    expect(found.map((variant) => variant === 'refresh')).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect(new Set(variants(new StepClock(galore({ refreshInterval: 1 })), 3))).toEqual(new Set(['refresh']));
  });

  const reports = (clock: StepClock, steps: number) =>
    Array.from({ length: steps }, () => clock.completeStep()?.report);

  test('tells the number of new subspaces after the step that begins with them', () => {
    expect(reports(new StepClock(galore({ refreshInterval: 3 })), 5)).toEqual([
      { subspaceEpoch: 0 },
      undefined,
      undefined,
      { subspaceEpoch: 1 },
      undefined,
    ]);
  });

  test.each([variants, reports])('goes on where it was: %p', (told) => {
    const method = galore({ refreshInterval: 3 });
    const straight = new StepClock(method);
    told(straight, 4);
    const resumed = new StepClock(method);
    resumed.restore(4, straight.states());
    expect(told(resumed, 5)).toEqual(told(straight, 5));
  });

  test.each([[{ stepsSinceRefresh: 2 }], [{ stepsSinceRefresh: -1 }], [{}], [undefined]])(
    'refuses %p',
    (state) => {
      expect(() => new StepClock(galore({ refreshInterval: 3 })).restore(4, { subspace: state })).toThrow(
        expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
      );
    },
  );
});

describe('a plan', () => {
  const config: LlamaConfig = {
    vocabSize: 64,
    hiddenSize: 32,
    intermediateSize: 88,
    numAttentionHeads: 4,
    numHiddenLayers: 3,
  };
  const planOf = (options: GaloreOptions, change: Partial<CompileOptions> = {}) =>
    compile({
      model: llama(config),
      method: galore(options),
      target: planTarget,
      batchSize: 2,
      sequenceLength: 16,
      dtype: 'f32',
      ...change,
    });

  test('has states of n r + 2 r m elements for each weight', () => {
    const [h, f, rank, layers] = [32, 88, 8, 3];
    const states = memoryReport(planOf({ rank })).byKind.optimizerState;
    const square = h * rank + 2 * rank * h;
    const wide = h * rank + 2 * rank * f; // gate and up as down
    const full = 2 * (2 * 64 * h + (2 * layers + 1) * h);
    expect(states).toBe(4 * (layers * (4 * square + 3 * wide) + full));
  });

  test('has states of half the bytes in bf16', () => {
    const f32 = memoryReport(planOf({ rank: 8 })).byKind.optimizerState;
    const bf16 = memoryReport(planOf({ rank: 8, stateFormat: 'bf16' }, { dtype: 'bf16' })).byKind
      .optimizerState;
    expect(bf16).toBe(f32 / 2);
  });

  /** Most values of a layer's weight size and kind 'gradient' that stand at one instruction. */
  function fullGradientsAlive(
    { lifetimes, instructions }: PlanEntry,
    plan: ReturnType<typeof planOf>,
  ): number {
    const isFull = (index: number) => {
      const { kind, bytes, layer } = plan.values[index]!;
      return kind === 'gradient' && layer.startsWith('layers.') && bytes >= 4 * 32 * 32;
    };
    const full = lifetimes.filter(({ value }) => isFull(value));
    return Math.max(
      ...instructions.map((_, i) => full.filter(({ first, last }) => first <= i && i <= last).length),
    );
  }

  test.each(['none', 'cheap', 'layer'] as const)('has one full gradient alive, recompute %s', (recompute) => {
    const plan = planOf({ rank: 8 }, { recompute });
    // The step that a direction becomes takes the place of the gradient before it.
    expect(fullGradientsAlive(plan.entries['step']!, plan)).toBe(1);
    expect(plan.entries['step:refresh']).toBeDefined();
  });

  test('has two forms of the update, and one accumulate, where gradients live in between', () => {
    const plan = planOf({ rank: 8 }, { accumulateGradients: true, maxGradNorm: 1 });
    expect(Object.keys(plan.entries)).toEqual(
      expect.arrayContaining(['accumulate', 'update', 'update:refresh']),
    );
    expect(Object.keys(plan.entries)).not.toContain('accumulate:refresh');
  });
});

describe('options', () => {
  const error = (code: string, fields: object = {}) =>
    expect.objectContaining({ name: 'CompactError', code, ...fields });

  test('have the defaults of the paper', () => {
    expect(galore().describe()).toMatchObject({
      name: 'galore',
      rankRatio: 0.25,
      refreshInterval: 200,
      updateScale: 0.25,
      targetModules: ['query', 'key', 'value', 'output', 'gate', 'up', 'down'],
    });
  });

  test('that are wrong are refused', () => {
    expect(() => galore({ rank: 4, rankRatio: 0.5 })).toThrow(error('ERR_COMPACT_RANK'));
    expect(() => galore({ rank: 0 })).toThrow(error('ERR_COMPACT_RANK'));
    expect(() => galore({ refreshInterval: 0 })).toThrow(
      error('ERR_COMPACT_CONFIG_VALUE', { op: 'refreshInterval' }),
    );
    expect(() => galore({ targetModules: [] })).toThrow(
      error('ERR_COMPACT_CONFIG_VALUE', { op: 'targetModules' }),
    );
    expect(() => galore({ store: 'lazy' } as object)).toThrow(error('ERR_COMPACT_CONFIG_UNKNOWN_KEY'));
    expect(() => updateOf([12, 20], { rank: 13 })).toThrow(
      error('ERR_COMPACT_RANK', { op: 'weight', expected: 'at most 12, the smaller side of the weight' }),
    );
  });
});
