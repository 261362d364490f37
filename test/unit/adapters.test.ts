/** Low-rank adapters: mathematics against dense training of W + s A B, what is kept, bytes, wrong options. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import {
  crossEntropy,
  Graph,
  linearLayerOf,
  matmul,
  type Model,
  parameterId,
  type Value,
} from '../../lib/graph/index.js';
import { dense, lora, loraFa, type Method, mesa, qlora, relora, StepClock } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import { type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { projection } from '../reference/projection.js';
import { exact } from '../reference/tensor.js';

const config = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 16,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
};
const shape = { batchSize: 2, sequenceLength: 4 };
const adam = { betas: [0.8, 0.95], epsilon: 1e-5 } as const;
const learningRate = 0.02;

/** Adam with its bias corrections, of one tensor. */
class Adam {
  readonly #m: number[] = [];
  readonly #v: number[] = [];

  constructor(readonly weight: Float64Array) {}

  step(gradient: Float64Array, t: number, rate: number): void {
    for (const [i, step] of this.direction(gradient, t).entries()) this.weight[i]! -= rate * step;
  }

  direction(gradient: Float64Array, t: number): Float64Array {
    const [beta1, beta2] = adam.betas;
    return gradient.map((g, i) => {
      this.#m[i] = beta1 * (this.#m[i] ?? 0) + (1 - beta1) * g;
      this.#v[i] = beta2 * (this.#v[i] ?? 0) + (1 - beta2) * g * g;
      const corrected = this.#m[i] / (1 - beta1 ** t);
      return corrected / (Math.sqrt(this.#v[i] / (1 - beta2 ** t)) + adam.epsilon);
    });
  }

  restart(): void {
    this.#m.length = this.#v.length = 0;
  }
}

/** Projected inputs of adapters: what A's gradient is taken to, every so many steps with another P. */
interface ProjectedInputs {
  readonly rank: number;
  readonly interval: number;
  readonly scale: number;
}

const scaled = ({ shape: dims, data }: Tensor, factor: number): Tensor => ({
  shape: dims,
  data: data.map((x) => factor * x),
});
const sumOf = (a: Tensor, b: Tensor): Tensor => ({
  shape: a.shape,
  data: a.data.map((x, i) => x + b.data[i]!),
});

/** Training of W + s A B from the dense gradient G of that sum: dA = s G B^T, dB = s A^T G. */
class PublishedAdapters {
  readonly #dense: TwinTrainer;
  readonly #base = new Map<string, Tensor>();
  readonly #adapters = new Map<string, { readonly a: Tensor; readonly b: Tensor }>();
  readonly #optimizers = new Map<string, Adam>();

  constructor(
    readonly start: TwinTrainer,
    readonly scale: number,
    readonly isTrained: (name: string) => boolean,
    readonly inputs?: ProjectedInputs,
  ) {
    this.#dense = new TwinTrainer(llama(config), dense(), shape);
    for (const [name, value] of start.persistent) {
      const copy = { shape: value.shape, data: value.data.slice() };
      const [, layer, factor] = /^(.*)\.lora_([AB])\.weight$/.exec(name) ?? [];
      if (layer === undefined) this.#base.set(name, copy);
      else {
        const key = `${layer}.weight`;
        this.#adapters.set(key, { ...this.#adapters.get(key)!, [factor === 'A' ? 'a' : 'b']: copy });
      }
      this.#optimizers.set(name, new Adam(copy.data));
    }
  }

  step(batch: string, t: number, rate: number): number {
    for (const [name, base] of this.#base) {
      const adapter = this.#adapters.get(name);
      const change = adapter && scaled(product(adapter.a, adapter.b, exact), this.scale);
      this.#dense.persistent.set(name, change === undefined ? base : sumOf(base, change));
    }
    const { loss, gradients } = this.#dense.gradients(batch);
    for (const [name, gradient] of gradients) {
      const adapter = this.#adapters.get(name);
      if (adapter === undefined) {
        this.#update(name, gradient, t, rate);
        continue;
      }
      const layer = name.replace(/\.weight$/, '');
      const ofA = scaled(product(gradient, adapter.b, exact, false, true), this.scale);
      const ofB = scaled(product(adapter.a, gradient, exact, true), this.scale);
      if (this.inputs !== undefined && !layer.includes('o_proj'))
        this.#updateProjected(`${layer}.lora_A.weight`, ofA, t, rate, this.inputs);
      else this.#update(`${layer}.lora_A.weight`, ofA, t, rate);
      this.#update(`${layer}.lora_B.weight`, ofB, t, rate);
    }
    return loss;
  }

  /** W = W + s A B; B = 0, A as it was drawn, states zero. */
  restart(drawn: ReadonlyMap<string, Tensor>): void {
    for (const [name, { a, b }] of this.#adapters) {
      const base = this.#base.get(name)!;
      base.data.set(sumOf(base, scaled(product(a, b, exact), this.scale)).data);
      const layer = name.replace(/\.weight$/, '');
      a.data.set(drawn.get(`${layer}.lora_A.weight`)!.data);
      b.data.fill(0);
      for (const factor of ['A', 'B']) this.#optimizers.get(`${layer}.lora_${factor}.weight`)!.restart();
    }
  }

  #update(name: string, { data }: Tensor, t: number, rate: number): void {
    if (this.isTrained(name)) this.#optimizers.get(name)!.step(data, t, rate);
  }

  /** CompAct's algorithms 1 and 2 for A: Adam of P^T dA, A = A - rate scale P direction. */
  #updateProjected(
    name: string,
    gradient: Tensor,
    t: number,
    rate: number,
    { rank, interval, scale }: ProjectedInputs,
  ): void {
    const optimizer = this.#optimizers.get(name)!;
    const sharedName = name.replace(/[kv]_proj/, 'q_proj').replace('up_proj', 'gate_proj');
    const p = projection(gradient.shape[0]!, rank, {
      seedLow: 42,
      seedHigh: 0,
      tensorId: parameterId(sharedName),
      epoch: Math.floor((t - 1) / interval),
      distribution: 0,
    });
    const { shape: size, data } = product(p, gradient, exact, true);
    const direction = { shape: size, data: optimizer.direction(data, t) };
    for (const [i, step] of product(p, direction, exact).data.entries())
      optimizer.weight[i]! -= rate * scale * step;
  }

  expectEqual(found: ReadonlyMap<string, Tensor>): void {
    for (const [name, { weight }] of this.#optimizers)
      for (const [i, value] of weight.entries()) expect(found.get(name)!.data[i]).toBeCloseTo(value, 9);
  }
}

describe('twenty steps are those of the published equations', () => {
  const interval = 6;
  const ofInputs = { inputRank: 3, inputRefreshInterval: 7, inputUpdateScale: 0.5 };
  const isFactor = (name: string): boolean => name.includes('lora_');
  const cases: readonly (readonly [
    string,
    Method,
    number,
    (name: string) => boolean,
    ProjectedInputs | undefined,
  ])[] = [
    [
      'lora of projected inputs, new projections after seven steps and fourteen',
      lora({ ...adam, r: 4, loraAlpha: 6, targetModules: 'all-linear', ...ofInputs }),
      1.5,
      isFactor,
      { rank: 3, interval: 7, scale: 0.5 },
    ],
    [
      'lora of projected inputs of value alone',
      lora({ ...adam, r: 4, loraAlpha: 6, targetModules: ['value'], ...ofInputs }),
      1.5,
      isFactor,
      { rank: 3, interval: 7, scale: 0.5 },
    ],
    [
      'relora of projected inputs, restarted between new projections',
      relora({ ...adam, r: 4, resetInterval: interval, restartWarmupSteps: 4, ...ofInputs }),
      8,
      () => true,
      { rank: 3, interval: 7, scale: 0.5 },
    ],
    ['lora', lora({ ...adam, r: 4, loraAlpha: 6 }), 1.5, isFactor, undefined],
    [
      'lora of every layer, rank-stabilised',
      lora({ ...adam, r: 4, loraAlpha: 6, useRslora: true, targetModules: 'all-linear' }),
      3,
      isFactor,
      undefined,
    ],
    ['lora-fa', loraFa({ ...adam, r: 4 }), 2, (name) => name.includes('lora_B'), undefined],
    [
      'relora, restarted after six steps, twelve and eighteen',
      relora({ ...adam, r: 4, resetInterval: interval, restartWarmupSteps: 4 }),
      8,
      () => true,
      undefined,
    ],
  ];

  test.each(cases)('%s', (_, method, scale, isTrained, inputs) => {
    const trainer = new TwinTrainer(llama(config), method, { ...shape, recompute: 'none' });
    for (const [name, { data }] of trainer.persistent) {
      if (name.includes('lora_B')) expect(data.every((x) => x === 0)).toBe(true);
    }
    const published = new PublishedAdapters(trainer, scale, isTrained, inputs);
    const clock = new StepClock(method);
    for (let step = 1; step <= 20; step++) {
      const sinceRestart = (step - 1) % interval;
      const warmup = method.name === 'relora' && step > interval ? Math.min(1, (sinceRestart + 1) / 4) : 1;
      expect(clock.learningRateFactor).toBe(warmup);
      const now = { ...clock.scalars, learningRate: warmup * learningRate };
      const loss = trainer.step(`batch ${step}`, now);
      expect(published.step(`batch ${step}`, step, warmup * learningRate)).toBeCloseTo(loss, 9);
      const refresh = clock.completeStep();
      const restarts = method.name === 'relora' && step % interval === 0;
      expect(refresh?.entries ?? []).toEqual(restarts ? ['merge', 'restart'] : []);
      for (const entry of refresh?.entries ?? []) trainer.between(entry, clock.scalars);
      if (restarts) published.restart(trainer.persistent);
    }
    published.expectEqual(trainer.persistent);
  });
});

describe('the product that is added in place', () => {
  const info = { role: 'linear', initializer: { type: 'constant', value: 1 } } as const;

  test('is written into the first result, of its dtype', () => {
    const graph = new Graph();
    const [x, u] = [graph.input('x', [5, 3], 'bf16'), graph.input('u', [5, 2], 'bf16')];
    const first = matmul(x, graph.parameter('W', [3, 4], 'bf16', info), { dtype: 'f32' });
    const sum = matmul(u, graph.parameter('B', [2, 4], 'bf16', info), { accumulator: first });
    expect(sum).toMatchObject({ shape: [5, 4], dtype: 'f32' });
    expect(graph.nodes.map(linearLayerOf).map((layer) => layer?.weight.name)).toEqual(['W', undefined]);
    expect(() => matmul(u, u, { transposeA: true, accumulator: first })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_SHAPE' }),
    );
  });
});

describe('bytes', () => {
  const model = llama({ ...config, hiddenSize: 32, intermediateSize: 88 });
  const planOf = (method: Method, change: Partial<CompileOptions> = {}): Plan =>
    compile({ model, method, target: planTarget, ...shape, dtype: 'bf16', entries: ['train'], ...change });

  const persistent = (plan: Plan, kind: string) =>
    plan.values.filter((value) => value.region === 'persistent' && value.kind === kind);
  const isOfAdapter = ({ name }: Pick<Value, 'name'>) => name.includes('.lora_');

  test.each([
    ['lora', lora({ targetModules: 'all-linear' }), 2 * 14],
    ['lora-fa', loraFa(), 14],
  ])('%s: frozen weights have neither gradient nor state', (_, method, numTrained) => {
    for (const change of [{}, { accumulateGradients: true }]) {
      const plan = planOf(method, change);
      const states = persistent(plan, 'optimizerState');
      expect(states).toHaveLength(2 * numTrained);
      expect(states.every(isOfAdapter)).toBe(true);
      // A norm's backward makes its vector whether it is wanted or not.
      const gradients = plan.values.filter(
        ({ kind, shape: { length } }) => kind === 'gradient' && length > 1,
      );
      expect(gradients).toHaveLength(numTrained);
      expect(persistent(plan, 'parameter').filter(isOfAdapter)).toHaveLength(2 * 14);
      const updates = Object.values(plan.entries).flatMap(({ instructions }) =>
        instructions.filter(({ phase }) => phase === 'update'),
      );
      expect(updates).toHaveLength(numTrained);
    }
  });

  /** What linear layers read in forward and backward still needs, but for what attention keeps: [columns]. */
  function keptInputs(plan: Plan): readonly number[] {
    const { instructions, lifetimes } = plan.entries.step!;
    const boundary = instructions.findIndex(({ phase }) => phase === 'backward');
    const attended = instructions.filter(({ op }) => op === 'attention').map(({ outputs }) => outputs[0]);
    const products = instructions.slice(0, boundary).filter(({ op }) => op === 'matmul');
    const inputs = new Set(products.map((product) => product.inputs[0]!));
    return lifetimes
      .filter(({ value, last }) => inputs.has(value) && !attended.includes(value) && last >= boundary)
      .map(({ value }) => plan.values[value]!.shape[1]!);
  }

  test('lora keeps the inputs of its layers, lora-fa none of them', () => {
    const all = { targetModules: 'all-linear' } as const;
    const inputs = [32, 32, 88, 32, 32, 88]; // of query, key and value; gate and up; down
    const inner = Array<number>(7).fill(8); // s x A (tokens, r) for each weight
    expect(keptInputs(planOf(dense()))).toEqual(inputs);
    const kept = keptInputs(planOf(lora(all)));
    expect(kept.filter((columns) => columns !== 8)).toEqual(inputs);
    expect(kept.filter((columns) => columns === 8)).toEqual([...inner, ...inner]);
    expect(keptInputs(planOf(lora())).filter((columns) => columns !== 8)).toEqual([32, 32]);
    expect(keptInputs(planOf(loraFa()))).toEqual([...inner, ...inner]);
  });

  test.each([
    ['lora', lora],
    ['relora', relora],
    ['qlora', qlora],
  ] as const)(
    '%s: of projected inputs z is kept, one for all that read the input, and no input',
    (_, method) => {
      const options = { r: 8, targetModules: 'all-linear' } as const;
      const plan = planOf(method({ ...options, inputRankRatio: 0.25 }));
      expect(keptInputs(plan).filter((columns) => columns !== 8)).toEqual([]);
      const tokens = shape.batchSize * shape.sequenceLength;
      const [attention, mlp, down] = [
        [tokens, 8],
        [tokens, 8],
        [tokens, 24],
      ]; // n/4, in whole eights
      const kept = (of: Plan) =>
        of.values.filter(({ kind }) => kind === 'compressedActivation').map((value) => value.shape);
      expect(kept(plan)).toEqual([attention, mlp, down, attention, mlp, down]);
      expect(kept(planOf(method(options)))).toEqual([]);
      // Query alone needs one projection; attention keeps the input of output anyway.
      const some = { r: 8, inputRank: 4, targetModules: ['query', 'output'] } as const;
      expect(kept(planOf(method(some)))).toEqual([
        [tokens, 4],
        [tokens, 4],
      ]);
    },
  );

  test('states of A are those of its projected gradient', () => {
    const shapesOf = (plan: Plan, name: string) =>
      persistent(plan, 'optimizerState')
        .filter((value) => value.name.includes(`layers.1.${name}.`))
        .map((value) => value.shape);
    const plan = planOf(lora({ r: 8, targetModules: 'all-linear', inputRank: 5 }));
    expect(shapesOf(plan, 'mlp.down_proj.lora_A.weight')).toEqual([
      [5, 8],
      [5, 8],
    ]);
    expect(shapesOf(plan, 'mlp.down_proj.lora_B.weight')).toEqual([
      [8, 32],
      [8, 32],
    ]);
    expect(shapesOf(plan, 'self_attn.o_proj.lora_A.weight')).toEqual([
      [32, 8],
      [32, 8],
    ]);
  });

  test('an adapter adds no result of full size', () => {
    const sizes = (plan: Plan) =>
      plan.entries
        .evaluate!.lifetimes.map(({ value }) => plan.values[value]!)
        .filter(({ name }) => /matmul/.test(name));
    const [plain, adapted] = [dense(), lora({ targetModules: 'all-linear' })].map((method) =>
      planOf(method, { entries: ['evaluate'] }),
    );
    expect(adapted!.arenaLowerBoundBytes).toBeLessThanOrEqual(
      plain!.arenaLowerBoundBytes + 2 * shape.batchSize * shape.sequenceLength * 8 + 512,
    );
    expect(sizes(adapted!).length).toBe(sizes(plain!).length + 2 * 14); // the inner product, and the sum in place
  });

  test('restarts need no byte', () => {
    const options = { r: 8 };
    for (const change of [{}, { dtype: 'f32', accumulateGradients: true }] as const) {
      const [withRestarts, without] = [relora(options), { ...relora(options), clocks: {} }].map((method) =>
        planOf(method, change),
      );
      expect(withRestarts!.entries.merge!.instructions).toHaveLength(14);
      expect(withRestarts!.entries.restart!.instructions).toHaveLength(14 * 2 * 3);
      expect(withRestarts!.peakBytes).toBe(without!.peakBytes);
    }
  });
});

describe('wrong options', () => {
  const compiled = (method: Method, model: Model = llama(config)) =>
    compile({ model, method, target: planTarget, ...shape, dtype: 'f32' });
  const error = (code: string, fields: object = {}) =>
    expect.objectContaining({ name: 'CompactError', code, ...fields });

  test.each([
    ['no rank', { r: 0 }, 'ERR_COMPACT_RANK', 'r'],
    ['half a rank', { r: 1.5 }, 'ERR_COMPACT_RANK', 'r'],
    ['no targets', { targetModules: [] }, 'ERR_COMPACT_CONFIG_VALUE', 'targetModules'],
    ['a target that is none', { targetModules: ['q_proj'] }, 'ERR_COMPACT_CONFIG_VALUE', 'targetModules'],
    ['alpha zero', { loraAlpha: 0 }, 'ERR_COMPACT_CONFIG_VALUE', 'loraAlpha'],
    ['PEFT in Python', { lora_alpha: 8 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', 'lora_alpha'],
  ])('%s is refused', (_what, options, code, op) => {
    for (const method of [lora, loraFa, relora])
      expect(() => method(options as object)).toThrow(error(code, { op }));
  });

  test.each([
    ['no columns', { inputRank: 0 }, 'ERR_COMPACT_RANK', 'inputRank'],
    ['more than all', { inputRankRatio: 1.5 }, 'ERR_COMPACT_RANK', 'inputRankRatio'],
    ['both ranks', { inputRank: 4, inputRankRatio: 0.5 }, 'ERR_COMPACT_RANK', 'inputRank'],
    ['no steps', { inputRefreshInterval: 0 }, 'ERR_COMPACT_CONFIG_VALUE', 'inputRefreshInterval'],
    [
      'a clock without a rank',
      { inputRefreshInterval: 5 },
      'ERR_COMPACT_CONFIG_VALUE',
      'inputRefreshInterval',
    ],
    ['a factor without a rank', { inputUpdateScale: 2 }, 'ERR_COMPACT_CONFIG_VALUE', 'inputUpdateScale'],
    [
      'nothing to project',
      { inputRank: 4, targetModules: ['output', 'linear'] },
      'ERR_COMPACT_CONFIG_VALUE',
      'targetModules',
    ],
    [
      'an optimizer of full gradients',
      { inputRank: 4, optimizer: 'apollo' },
      'ERR_COMPACT_CONFIG_VALUE',
      'optimizer',
    ],
  ])('projected inputs: %s', (_what, options, code, op) => {
    for (const method of [lora, qlora, relora])
      expect(() => method(options as object)).toThrow(error(code, { op }));
  });

  test('lora-fa keeps no input that could be projected', () => {
    const make = () => loraFa({ inputRank: 4 } as object);
    expect(make).toThrow(error('ERR_COMPACT_CONFIG_UNKNOWN_KEY', { op: 'inputRank' }));
    expect(make).toThrow(/no layer keeps them: leave inputRank out/);
  });

  test('a rank over the width of an input names the factor', () => {
    expect(() => compiled(lora({ r: 4, inputRank: 9 }))).toThrow(
      error('ERR_COMPACT_RANK', { op: 'model.layers.1.self_attn.v_proj.lora_A.weight', received: '9' }),
    );
  });

  test('new projections at every step where the optimizer keeps nothing', () => {
    const of = (options: object) => lora({ inputRank: 4, ...options }).describe()['inputRefreshInterval'];
    expect([of({}), of({ optimizer: 'sgd' }), of({ optimizer: 'sgd', momentum: 0.9 })]).toEqual([50, 1, 50]);
  });

  test.each([{ resetInterval: 0 }, { restartWarmupSteps: -1 }])('%j is refused', (options) => {
    expect(() => relora(options)).toThrow(error('ERR_COMPACT_CONFIG_VALUE'));
  });

  test('a rank over the smaller side of a layer names the layer', () => {
    expect(() => compiled(lora({ r: 9 }))).toThrow(
      error('ERR_COMPACT_RANK', { op: 'model.layers.0.self_attn.q_proj.weight', received: '9' }),
    );
    expect(() => compiled(lora({ r: 8 }))).not.toThrow();
  });

  test('a target that the model lacks names it, and what there is', () => {
    expect(() => compiled(lora({ r: 4, targetModules: ['query', 'linear'] }))).toThrow(
      error('ERR_COMPACT_CONFIG_VALUE', {
        op: 'targetModules',
        received: 'linear',
        expected: "'all-linear' or some of query, key, value, output, gate, up, down",
      }),
    );
  });

  test('a model without linear layers', () => {
    const model: Model = {
      ...llama(config),
      build: (graph) => crossEntropy(graph.input('x', [8, 4], 'f32'), graph.input('targets', [8], 'i32')),
    };
    for (const method of [lora(), loraFa(), relora()])
      expect(() => compiled(method, model)).toThrow(
        error('ERR_COMPACT_CONFIG_VALUE', { op: 'method', received: method.name }),
      );
  });
});

test('adapters go together with int8 groups', () => {
  const { rewriteForward, isTrained } = lora({ r: 4 });
  const method: Method = { ...mesa({ savedGroupSize: 16 }), rewriteForward, isTrained };
  const trainer = new TwinTrainer(llama(config), method, { ...shape, recompute: 'none' });
  const before = tensor([1], [trainer.step('batch', { learningRate: 0.01, step: 1 })]).data[0]!;
  expect(trainer.step('batch', { learningRate: 0.01, step: 2 })).toBeLessThan(before);
});
