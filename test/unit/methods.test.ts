import { describe, expect, test } from '@jest/globals';
import {
  type Attribute,
  Graph,
  type Node,
  type ParameterRole,
  type Value,
  embedding,
  linearCrossEntropy,
  matmul,
  type Model,
  parameterId,
  scalar,
  sgd,
} from '../../lib/graph/index.js';
import {
  adalomo,
  badam,
  lomo,
  compact,
  type CompactOptions,
  dense,
  dora,
  fira,
  flora,
  galore,
  ldadam,
  lora,
  loraFa,
  mesa,
  type Method,
  methodFromDescription,
  methodNames,
  qlora,
  relora,
  rso,
} from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { compile } from '../../lib/compile/index.js';
import { evaluateNodes, type Scalars } from '../helpers/evaluate-graph.js';
import { planTarget } from '../helpers/plan-target.js';
import { randomTensor } from '../helpers/random.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import { type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { projection } from '../reference/projection.js';
import { exact } from '../reference/tensor.js';

const tiny: LlamaConfig = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 16,
  numHiddenLayers: 1,
  numAttentionHeads: 2,
};
const shape = { batchSize: 2, sequenceLength: 4 };

/** What a method adds to a graph for one linear layer (24 to 6 features, 5 tokens). */
function linearLayer(method: Method, role: ParameterRole = 'query', dtype: 'f32' | 'bf16' = 'f32') {
  const graph = new Graph();
  const input = graph.at('layers.0', 'forward', () => graph.input('x', [5, 24], dtype));
  const outputGradient = graph.input('dy', [5, 6], dtype);
  const info = { role, initializer: { type: 'constant', value: 0 }, sharesInputWith: 'first' } as const;
  const weight = graph.parameter('weight', [24, 6], dtype, info);
  const gradient = graph.at('layers.0', 'backward', () =>
    method.weightGradient(graph, { input, outputGradient, weight }, 'f32'),
  );
  graph.at('layers.0', 'update', () => method.update(graph, weight, gradient, { gradientScale: undefined }));
  const [forward, backward, update] = (['forward', 'backward', 'update'] as const).map((phase) =>
    graph.nodes.filter((node) => node.phase === phase),
  ) as [Node[], Node[], Node[]];
  return { graph, input, outputGradient, weight, gradient, forward, backward, update };
}

const roundingOf = (method: Method, dtype: 'f32' | 'bf16') =>
  linearLayer(method, 'query', dtype).update[0]!.attributes.stochasticRounding;

/** Rank that compact chooses for a weight of some input width. */
function rankOf(options: Partial<CompactOptions>, role: ParameterRole = 'query', width = 24) {
  const graph = new Graph();
  const x = graph.input('x', [2, width], 'f32');
  const info = { role, initializer: { type: 'constant', value: 0 } } as const;
  const weight = graph.parameter('weight', [width, 4], 'f32', info);
  const linear = { input: x, outputGradient: graph.input('dy', [2, 4], 'f32'), weight };
  return compact(options).weightGradient(graph, linear, 'f32').shape[0];
}

/** What runs between steps when projections change. */
const refresh = (momentsAtRefresh: 'keep' | 'reset' | 'transfer') =>
  compact({ rank: 8, refreshInterval: 7, momentsAtRefresh }).clocks!.projection!.entries!.refresh;

const namesOf = (nodes: readonly Node[]) => nodes.map(({ op }) => op);
const numbersOf = (map: ReadonlyMap<Value, Tensor>, value: Value) => [...map.get(value)!.data];
const error = (code: string, fields: object = {}) =>
  expect.objectContaining({ name: 'CompactError', code, ...fields });

describe('dense', () => {
  test('keeps the input, has a full gradient, and updates by AdamW', () => {
    const { input, backward, gradient, update } = linearLayer(dense({ weightDecay: 0.1 }), 'query', 'bf16');
    expect(namesOf(backward)).toEqual(['matmul']);
    expect(backward[0]!.inputs).toContain(input);
    expect(gradient).toMatchObject({ shape: [24, 6], dtype: 'f32', kind: 'gradient' });
    expect(namesOf(update)).toEqual(['adamW']);
    expect(update[0]!.attributes).toMatchObject({
      learningRate: { scalar: 'learningRate' },
      step: { scalar: 'step' },
      updateScale: 1,
      weightDecay: 0.1,
      epsilon: 1e-8,
      stochasticRounding: 1,
      tensorId: parameterId('weight'),
    });
    expect(dense().saving.recompute).toBe('none');
    expect(Object.keys(dense().clocks!)).toEqual([]);
  });

  test('decays matrices only', () => {
    const trainer = new TwinTrainer(llama(tiny), dense({ weightDecay: 0.1 }), shape);
    const program = trainer.differentiated();
    const graph = new Graph();
    for (const [parameter, gradient] of program.gradients) {
      const copy = graph.parameter(parameter.name, parameter.shape, 'f32', parameter.parameter!);
      const context = { gradientScale: undefined };
      dense({ weightDecay: 0.1 }).update(
        graph,
        copy,
        graph.input('gradient', gradient.shape, 'f32'),
        context,
      );
    }
    const decayed = graph.nodes.filter(({ attributes }) => attributes.weightDecay !== 0);
    const matrices = graph.parameters.filter((parameter) => parameter.shape.length === 2);
    expect(decayed.map(({ inputs }) => inputs[0]!.name)).toEqual(matrices.map(({ name }) => name));
    expect(matrices.length).toBeLessThan(graph.parameters.length);
  });

  test('rounds fp32 weights to nearest, and bf16 ones too when asked', () => {
    expect(roundingOf(dense(), 'f32')).toBe(0);
    expect(roundingOf(dense(), 'bf16')).toBe(1);
    expect(roundingOf(dense({ stochasticRounding: false }), 'bf16')).toBe(0);
  });
});

describe.each([
  ['dense', dense({ epsilon: 1e-3 })],
  ['compact', compact({ rankRatio: 0.5, epsilon: 1e-3 })],
])('the rate of each role: %s', (_, method) => {
  const rates = {
    learningRate: 0.001,
    embeddingLearningRate: 0.02,
    headLearningRate: 0.03,
    normLearningRate: 0.004,
  };

  /** What one step moves, by parameter; without decay it is proportional to the rate. */
  function changes(config: LlamaConfig, scalars: Scalars): Map<string, Float64Array> {
    const trainer = new TwinTrainer(llama(config), method, shape);
    const names = trainer.differentiated().graph.parameters.map(({ name }) => name);
    const before = new Map(names.map((name) => [name, trainer.persistent.get(name)!.data.slice()]));
    trainer.step('batch', { step: 1, firstMomentStep: 1, secondMomentStep: 1, ...scalars });
    return new Map(
      names.map((name) => [
        name,
        trainer.persistent.get(name)!.data.map((value, i) => value - before.get(name)![i]!),
      ]),
    );
  }

  test.each([false, true])('of a whole model, tied head: %p', (tieWordEmbeddings) => {
    const config = { ...tiny, tieWordEmbeddings };
    const [one, own] = [changes(config, { learningRate: 1 }), changes(config, rates)];
    expect([...own.keys()].some((name) => name.startsWith('lm_head'))).toBe(!tieWordEmbeddings);
    for (const [name, change] of one) {
      const rate = name.includes('embed_tokens')
        ? rates.embeddingLearningRate
        : name.includes('lm_head')
          ? rates.headLearningRate
          : name.includes('norm')
            ? rates.normLearningRate
            : rates.learningRate;
      expect(change.some((value) => value !== 0)).toBe(true);
      for (const [i, value] of change.entries()) expect(own.get(name)![i]).toBeCloseTo(rate * value, 12);
    }
  });

  test('biases learn at the rate of norms, every other matrix at the plain one', () => {
    const rateOf = (role: ParameterRole) => linearLayer(method, role).update.at(-1)!.attributes.learningRate;
    expect(rateOf('bias')).toEqual({ scalar: 'normLearningRate' });
    for (const role of ['query', 'key', 'value', 'output', 'gate', 'up', 'down', 'linear'] as const)
      expect(rateOf(role)).toEqual({ scalar: 'learningRate' });
  });
});

describe('compact: what it keeps and makes', () => {
  test('stored: the input is read in forward only', () => {
    const { input, forward, backward, update, gradient, graph } = linearLayer(compact({ rankRatio: 1 / 3 }));
    expect(namesOf(forward)).toEqual(['project']);
    expect(forward[0]!.outputs[0]).toMatchObject({
      shape: [5, 8],
      kind: 'compressedActivation',
      layer: 'layers.0',
    });
    expect(namesOf(backward)).toEqual(['matmul']);
    expect([...backward, ...update].some(({ inputs }) => inputs.includes(input))).toBe(false);
    expect(gradient).toMatchObject({
      name: 'compressedGradient',
      shape: [8, 6],
      dtype: 'f32',
      kind: 'gradient',
    });
    expect(namesOf(update)).toEqual(['adamDirection', 'projectBackUpdate']);
    const states = graph.persistentValues.filter(({ kind }) => kind === 'optimizerState');
    expect(states.map(({ name, shape }) => [name, shape])).toEqual([
      ['weight.expAvg', [8, 6]],
      ['weight.expAvgSq', [8, 6]],
    ]);
  });

  test('lazy: the input is projected in backward, and cheap values may be rebuilt', () => {
    const method = compact({ rank: 8, store: 'lazy' });
    const { input, forward, backward } = linearLayer(method);
    expect(forward).toEqual([]);
    expect(namesOf(backward)).toEqual(['project', 'matmul']);
    expect(backward[0]!.inputs).toContain(input);
    expect(method.saving.recompute).toBe('cheap');
    expect(compact({ rank: 8 }).saving.recompute).toBe('none');
  });

  test.each([
    ['input', 3],
    ['weight', 6],
  ] as const)('sharing by %s: %d projections a layer', (sharing, numProjections) => {
    const trainer = new TwinTrainer(llama(tiny), compact({ rankRatio: 1, sharing }), shape);
    const projections = trainer.differentiated().nodes.filter(({ op }) => op === 'project');
    expect(projections).toHaveLength(numProjections);
    expect(new Set(projections.map(({ attributes }) => attributes.tensorId)).size).toBe(numProjections);
  });

  test('the seed, tensor and epoch of forward, update and refresh are the same', () => {
    const method = compact({
      rank: 8,
      seed: 2 ** 32 + 9,
      distribution: 'rademacher',
      momentsAtRefresh: 'transfer',
    });
    const { forward, update, weight, graph } = linearLayer(method);
    method.clocks!.projection!.entries!.refresh!(graph, weight);
    const key = { seedLow: 9, seedHigh: 1, tensorId: parameterId('first'), distribution: 1 };
    expect(forward[0]!.attributes).toEqual({ ...key, epoch: { scalar: 'projectionEpoch' } });
    expect(update[1]!.attributes).toMatchObject({ ...key, epoch: { scalar: 'projectionEpoch' } });
    expect(graph.nodes.at(-1)!.attributes).toEqual({
      ...key,
      rows: 24,
      oldEpoch: { scalar: 'previousProjectionEpoch' },
      newEpoch: { scalar: 'projectionEpoch' },
    });
  });

  test.each(['output', 'embedding', 'head', 'norm', 'bias', 'linear'] as const)('%s stays dense', (role) => {
    expect(namesOf(linearLayer(compact({ rank: 8 }), role).update)).toEqual(['adamW']);
  });

  test('target modules and the output projection', () => {
    const only = compact({ rank: 8, targetModules: ['down'] });
    expect(namesOf(linearLayer(only, 'query').update)).toEqual(['adamW']);
    expect(namesOf(linearLayer(only, 'down').forward)).toEqual(['project']);
    const scaleOf = (options: Partial<CompactOptions>, role: ParameterRole) =>
      linearLayer(compact({ rank: 8, ...options }), role).update.at(-1)!.attributes.updateScale;
    expect(scaleOf({}, 'query')).toBe(0.25);
    expect(scaleOf({}, 'head')).toBe(1);
    expect(scaleOf({}, 'output')).toBe(0.125);
    expect(scaleOf({ updateScale: 1 }, 'output')).toBe(0.5);
    expect(scaleOf({ outputUpdateScale: 1, outputProjection: 'lazy' }, 'output')).toBe(1);
    // Attention keeps this input anyway, so even the stored form projects it in backward.
    const { forward, backward } = linearLayer(compact({ rank: 8, outputProjection: 'lazy' }), 'output');
    expect([namesOf(forward), namesOf(backward)]).toEqual([[], ['project', 'matmul']]);
  });

  test('ranks', () => {
    expect(rankOf({ rank: 4 })).toBe(4);
    expect(rankOf({ rank: 24 })).toBe(24);
    expect(rankOf({ rankRatio: 0.25 }, 'down', 5461)).toBe(1368); // 1365.25 to a multiple of 8
    expect(rankOf({ rankRatio: 0.25 }, 'down', 1376)).toBe(344);
    expect(rankOf({ rankRatio: 1 }, 'down', 5461)).toBe(5461);
    expect(rankOf({ rankRatio: 0.01 }, 'query', 64)).toBe(8);
    expect(rankOf({ rankRatio: 0.5, overrides: { down: { rank: 3 } } }, 'down')).toBe(3);
    expect(rankOf({ rankRatio: 0.5, overrides: { down: { rank: 3 } } }, 'up')).toBe(16); // 12, half-way, goes up
    expect(() => rankOf({ rank: 25 })).toThrow(error('ERR_COMPACT_RANK', { op: 'weight', received: '25' }));
  });
});

describe('compact: mathematics, with the float64 twins', () => {
  const scalars = { learningRate: 0.1, step: 1, firstMomentStep: 1, projectionEpoch: 4 };

  test.each(['stored', 'lazy'] as const)('gradient and update of one layer, %s', (store) => {
    const options = { rank: 7, seed: 5, updateScale: 0.5, weightDecay: 0.2, epsilon: 0, store } as const;
    const { graph, input, outputGradient, weight, gradient } = linearLayer(compact(options));
    const [x, dy, w] = [randomTensor('x', [5, 24]), randomTensor('dy', [5, 6]), randomTensor('w', [24, 6])];
    const tensors = new Map<Value, Tensor>([
      [input, x],
      [outputGradient, dy],
      [weight, w],
    ]);
    for (const state of graph.persistentValues) if (state !== weight) tensors.set(state, tensor(state.shape));
    const inOrder = ['forward', 'backward', 'update'].flatMap((phase) =>
      graph.nodes.filter((node) => node.phase === phase),
    );
    evaluateNodes(inOrder, tensors, scalars);

    const tensorId = parameterId('first');
    const p = projection(24, 7, { seedLow: 5, seedHigh: 0, tensorId, epoch: 4, distribution: 0 });
    const full = product(x, dy, exact, true);
    const compressed = product(p, full, exact, true); // P^T (x^T dy) is (x P)^T dy
    for (const [i, value] of numbersOf(tensors, gradient).entries())
      expect(value).toBeCloseTo(compressed.data[i]!, 12);
    // Adam's very first direction is the sign of the gradient.
    const signs = { shape: compressed.shape, data: compressed.data.map(Math.sign) };
    const step = product(p, signs, exact);
    const expected = w.data.map((value, i) => value * (1 - 0.1 * 0.2) - 0.1 * 0.5 * step.data[i]!);
    for (const [i, value] of numbersOf(tensors, weight).entries())
      expect(value).toBeCloseTo(expected[i]!, 12);
  });

  test('with the identity at full rank, steps are those of dense', () => {
    const adam = { betas: [0.9, 0.99], epsilon: 1e-7, weightDecay: 0.1 } as const;
    const exactly = { rankRatio: 1, distribution: 'identity', updateScale: 1, outputUpdateScale: 1 } as const;
    const trainers = [
      new TwinTrainer(llama(tiny), dense(adam), shape),
      ...(['stored', 'lazy'] as const).map(
        (store) => new TwinTrainer(llama(tiny), compact({ ...adam, ...exactly, store }), shape),
      ),
    ];
    for (const step of [1, 2, 3]) {
      const now = { learningRate: 0.05, step, firstMomentStep: step };
      const [first, ...others] = trainers.map((trainer) => trainer.step(`batch ${step}`, now));
      for (const loss of others) expect(loss).toBeCloseTo(first!, 10);
    }
    const [first, second] = trainers.map(({ persistent }) => persistent) as [
      Map<string, Tensor>,
      Map<string, Tensor>,
    ];
    for (const [name, { data }] of first)
      for (const [i, value] of data.entries()) expect(second.get(name)!.data[i]).toBeCloseTo(value, 9);
  });

  test('projected back, the gradient is an unbiased estimate', () => {
    const trainer = new TwinTrainer(llama(tiny), compact({ rank: 4, sharing: 'weight' }), shape);
    const name = 'model.layers.0.mlp.down_proj.weight';
    const right = new TwinTrainer(llama(tiny), dense(), shape).gradients('batch').gradients.get(name)!;
    const weight = trainer.differentiated().graph.parameters.find((value) => value.name === name)!;
    const { tensorId } = weight.parameter!;
    const numEpochs = 400;
    const sum = new Float64Array(right.data.length);
    const sumOfSquares = new Float64Array(right.data.length);
    for (let epoch = 0; epoch < numEpochs; epoch++) {
      const compressed = trainer.gradients('batch', { projectionEpoch: epoch }).gradients.get(name)!;
      const p = projection(16, 4, { seedLow: 42, seedHigh: 0, tensorId, epoch, distribution: 0 });
      for (const [i, value] of product(p, compressed, exact).data.entries()) {
        sum[i]! += value;
        sumOfSquares[i]! += value * value;
      }
    }
    const scores = right.data.map((value, i) => {
      const mean = sum[i]! / numEpochs;
      const deviation = Math.sqrt((sumOfSquares[i]! / numEpochs - mean ** 2) / numEpochs);
      return (mean - value) / deviation;
    });
    // 128 correlated z-scores: the largest of as many independent ones is over 4.5 once in a thousand times.
    expect(Math.max(...scores.map(Math.abs))).toBeLessThan(4.5);
    const meanSquare = scores.reduce((total, score) => total + score ** 2, 0) / scores.length;
    expect(meanSquare).toBeLessThan(2);
  });
});

describe('compact: refresh', () => {
  test.each([
    [{}, 50],
    [{ optimizer: 'rmnp' }, 50],
    [{ optimizer: 'scale' }, 1],
    [{ optimizer: 'sgd' }, 1],
    [{ optimizer: 'sgd', momentum: 0.9 }, 50],
    [{ optimizer: 'scale', refreshInterval: 7 }, 7],
    [{ optimizer: 'scale', refreshInterval: undefined }, 1],
  ] as const)('%j projects anew every %d steps', (options, refreshInterval) => {
    expect(compact(options).describe()).toMatchObject({ refreshInterval });
  });

  test('keep does nothing', () => {
    expect(refresh('keep')).toBeUndefined();
  });

  test('reset fills the first moment of compressed weights with zeros', () => {
    const { graph, weight } = linearLayer(compact({ rank: 8 }));
    const before = graph.nodes.length;
    refresh('reset')!(graph, weight);
    const [node] = graph.nodes.slice(before);
    expect(node).toMatchObject({ op: 'fill', attributes: { value: 0 } });
    expect(node!.outputs.map(({ name }) => name)).toEqual(['weight.expAvg']);
  });

  test('transfer carries the first moment to the new basis', () => {
    const { graph, weight } = linearLayer(compact({ rank: 8 }));
    const before = graph.nodes.length;
    refresh('transfer')!(graph, weight);
    const moment = graph.persistentValues.find(({ name }) => name === 'weight.expAvg')!;
    const old = randomTensor('moment', [8, 6]);
    const tensors = new Map([[moment, old]]);
    evaluateNodes(graph.nodes.slice(before), tensors, { previousProjectionEpoch: 1, projectionEpoch: 2 });
    const tensorId = parameterId('first');
    const [from, to] = [1, 2].map((epoch) =>
      projection(24, 8, { seedLow: 42, seedHigh: 0, tensorId, epoch, distribution: 0 }),
    ) as [Tensor, Tensor];
    const expected = product(to, product(from, old, exact), exact, true);
    for (const [i, value] of numbersOf(tensors, moment).entries())
      expect(value).toBeCloseTo(expected.data[i]!, 12);
  });

  test('weights that are not compressed have nothing to move', () => {
    const { graph, weight } = linearLayer(compact({ rank: 8 }), 'head');
    const before = graph.nodes.length;
    refresh('reset')!(graph, weight);
    expect(graph.nodes).toHaveLength(before);
  });
});

describe('options', () => {
  test.each<[string, object, string]>([
    ['an override with neither rank nor ratio', { overrides: { up: {} } }, 'ERR_COMPACT_RANK'],
    ['both', { rank: 8, rankRatio: 0.5 }, 'ERR_COMPACT_RANK'],
    ['rank zero', { rank: 0 }, 'ERR_COMPACT_RANK'],
    ['half a column', { rank: 1.5 }, 'ERR_COMPACT_RANK'],
    ['ratio zero', { rankRatio: 0 }, 'ERR_COMPACT_RANK'],
    ['a ratio over one', { rankRatio: 1.5 }, 'ERR_COMPACT_RANK'],
    ['a ratio that is no number', { rankRatio: '0.5' }, 'ERR_COMPACT_RANK'],
    [
      'an override with both',
      { rank: 8, overrides: { up: { rank: 8, rankRatio: 0.5 } } },
      'ERR_COMPACT_RANK',
    ],
    [
      'an override of an unknown role',
      { rank: 8, overrides: { upper: { rank: 8 } } },
      'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
    ],
    ['an unknown option', { rank: 8, refreshIntervals: 5 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY'],
    ['no refresh interval', { rank: 8, refreshInterval: 0 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a negative scale', { rank: 8, updateScale: -1 }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['an unknown law', { rank: 8, distribution: 'uniform' }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['no targets', { rank: 8, targetModules: [] }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a target that no model has', { rank: 8, targetModules: ['query', 'head'] }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['betas of one', { rank: 8, betas: [1, 0.9] }, 'ERR_COMPACT_CONFIG_VALUE'],
    ['a seed below zero', { rank: 8, seed: -1 }, 'ERR_COMPACT_CONFIG_VALUE'],
  ])('%s is refused', (_what, options, code) => {
    expect(() => compact(options)).toThrow(error(code));
  });

  test('an option that is undefined is not given', () => {
    const options = { rank: undefined, rankRatio: 0.5, seed: undefined, store: undefined };
    expect(compact(options).describe()).toEqual(compact({ rankRatio: 0.5 }).describe());
    expect(dense({ epsilon: undefined }).describe()).toEqual(dense().describe());
  });

  test('without a rank, a quarter of each width', () => {
    expect(compact().describe()).toEqual(compact({ rankRatio: 0.25 }).describe());
    expect(compact({ rank: 8 }).describe()['rankRatio']).toBeUndefined();
  });

  test('dense says whose option a rank is', () => {
    expect(() => dense({ rank: 8 })).toThrow(
      error('ERR_COMPACT_CONFIG_UNKNOWN_KEY', {
        op: 'rank',
        remedy: 'rank is an option of the method compact: choose that, or leave rank out',
      }),
    );
  });

  test('dense checks its own', () => {
    expect(() => dense({ weightdecay: 0.1 } as object)).toThrow(
      error('ERR_COMPACT_CONFIG_UNKNOWN_KEY', { remedy: "Did you mean 'weightDecay'?" }),
    );
    expect(() => dense({ epsilon: Number.NaN })).toThrow(error('ERR_COMPACT_CONFIG_VALUE'));
  });

  test('a description gives the same method', () => {
    const methods = [
      dense({ weightDecay: 0.1, seed: 3 }),
      adalomo({ clipThreshold: 2 }),
      lomo({ weightDecay: 0.1 }),
      mesa({ savedGroupSize: 64 }),
      lora({ r: 4, targetModules: ['gate'] }),
      dora({ r: 4, useRslora: true }),
      loraFa({ useRslora: true }),
      qlora({ r: 16, embeddingWeights: 'int8' }),
      relora({ resetInterval: 9 }),
      compact({
        rankRatio: 0.25,
        overrides: { down: { rank: 8 } },
        store: 'lazy',
        momentsAtRefresh: 'reset',
      }),
      galore({ rank: 8, targetModules: ['down'] }),
      fira({ refreshInterval: 9 }),
      ldadam({ rho: 0.5, errorFeedback: false }),
      badam({ blocks: 2, switchMode: 'ascending' }),
      rso({ rank: 8, proximalPenalty: 0.5 }),
      flora({ rank: 8, targetModules: ['gate', 'output'] }),
    ];
    expect(methods.map(({ name }) => name).toSorted()).toEqual(methodNames.toSorted());
    for (const method of methods) {
      const description = JSON.parse(JSON.stringify(method.describe())) as Record<string, unknown>;
      expect(methodFromDescription(description).describe()).toEqual(method.describe());
    }
    expect(() => methodFromDescription({ name: 'compcat' })).toThrow(
      error('ERR_COMPACT_CONFIG_VALUE', { remedy: "Did you mean 'compact'?" }),
    );
    expect(() => methodFromDescription({})).toThrow(error('ERR_COMPACT_CONFIG_VALUE'));
  });
});

describe('a model without the weights that a method is for', () => {
  const bare: Model = {
    ...llama(tiny),
    build(graph) {
      const table = graph.parameter('table', [11, 8], 'f32', {
        role: 'embedding',
        initializer: { type: 'constant', value: 1 },
      });
      const [tokens, targets] = ['tokens', 'targets'].map((name) => graph.input(name, [8], 'i32'));
      return linearCrossEntropy(embedding(table, tokens!), table, targets!);
    },
  };
  const planned = (method: Method) =>
    compile({ model: bare, method, target: planTarget, ...shape, dtype: 'f32', entries: ['train'] });

  test.each([
    ['compact', compact({ rank: 4 })],
    ['galore', galore({ rank: 4 })],
    ['fira', fira({ rank: 4 })],
    ['ldadam', ldadam({ rank: 4 })],
    ['flora', flora({ rank: 4 })],
    ['rso', rso({ rank: 4 })],
    ['lora', lora({ r: 4 })],
    ['dora', dora({ r: 4 })],
    ['badam', badam()],
  ])('is refused by %s, naming it', (name, method) => {
    expect(() => planned(method)).toThrow(
      error('ERR_COMPACT_CONFIG_VALUE', { message: expect.stringContaining(name) }),
    );
  });

  test('is trained by dense', () => expect(planned(dense()).entries.step).toBeDefined());
});

test('a method is a handful of rules: gradient descent as a third one', () => {
  const learningRate: Attribute = scalar('learningRate');
  const descent: Method = {
    name: 'descent',
    weightGradient: (_graph, { input, outputGradient }, dtype) =>
      matmul(input, outputGradient, { transposeA: true, dtype }),
    saving: { recompute: 'none' },
    update: (_graph, weight, gradient) => void sgd(weight, gradient, { learningRate }),
    describe: () => ({ name: 'descent' }),
  };
  const trainer = new TwinTrainer(llama(tiny), descent, shape);
  const before = new Map([...trainer.persistent].map(([name, { data }]) => [name, data.slice()]));
  const { loss, gradients } = trainer.gradients('batch');
  const rate = 1e-4;
  expect(trainer.step('batch', { learningRate: rate })).toBe(loss);
  let squaredNorm = 0;
  for (const [name, { data }] of gradients) {
    for (const [i, value] of data.entries()) {
      squaredNorm += value * value;
      expect(trainer.persistent.get(name)!.data[i]).toBeCloseTo(before.get(name)![i]! - rate * value, 14);
    }
  }
  // A small step lowers the loss by rate times the squared norm, to first order.
  expect((loss - trainer.gradients('batch').loss) / (rate * squaredNorm)).toBeCloseTo(1, 2);
});
