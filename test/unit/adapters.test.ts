/** Low-rank adapters: mathematics against dense training of W + s A B, what is kept, bytes, wrong options. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import { crossEntropy, Graph, linearLayerOf, matmul, type Model, type Value } from '../../lib/graph/index.js';
import { dense, lora, loraFa, type Method, mesa, relora, StepClock } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import { type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
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
  readonly #m: Float64Array;
  readonly #v: Float64Array;

  constructor(readonly weight: Float64Array) {
    this.#m = new Float64Array(weight.length);
    this.#v = new Float64Array(weight.length);
  }

  step(gradient: Float64Array, t: number, rate: number): void {
    const [beta1, beta2] = adam.betas;
    for (const [i, g] of gradient.entries()) {
      this.#m[i] = beta1 * this.#m[i]! + (1 - beta1) * g;
      this.#v[i] = beta2 * this.#v[i]! + (1 - beta2) * g * g;
      const corrected = this.#m[i] / (1 - beta1 ** t);
      this.weight[i]! -= (rate * corrected) / (Math.sqrt(this.#v[i] / (1 - beta2 ** t)) + adam.epsilon);
    }
  }

  restart(): void {
    this.#m.fill(0);
    this.#v.fill(0);
  }
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
      this.#update(`${layer}.lora_A.weight`, ofA, t, rate);
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

  expectEqual(found: ReadonlyMap<string, Tensor>): void {
    for (const [name, { weight }] of this.#optimizers)
      for (const [i, value] of weight.entries()) expect(found.get(name)!.data[i]).toBeCloseTo(value, 9);
  }
}

describe('twenty steps are those of the published equations', () => {
  const interval = 6;
  const cases: readonly (readonly [string, Method, number, (name: string) => boolean])[] = [
    ['lora', lora({ ...adam, r: 4, loraAlpha: 6 }), 1.5, (name) => name.includes('lora_')],
    [
      'lora of every layer, rank-stabilised',
      lora({ ...adam, r: 4, loraAlpha: 6, useRslora: true, targetModules: 'all-linear' }),
      3,
      (name) => name.includes('lora_'),
    ],
    ['lora-fa', loraFa({ ...adam, r: 4 }), 2, (name) => name.includes('lora_B')],
    [
      'relora, restarted after six steps, twelve and eighteen',
      relora({ ...adam, r: 4, resetInterval: interval, restartWarmupSteps: 4 }),
      8,
      () => true,
    ],
  ];

  test.each(cases)('%s', (_, method, scale, isTrained) => {
    const trainer = new TwinTrainer(llama(config), method, { ...shape, recompute: 'none' });
    for (const [name, { data }] of trainer.persistent) {
      if (name.includes('lora_B')) expect(data.every((x) => x === 0)).toBe(true);
    }
    const published = new PublishedAdapters(trainer, scale, isTrained);
    const clock = new StepClock(method);
    for (let step = 1; step <= 20; step++) {
      const sinceRestart = (step - 1) % interval;
      const warmup = method.name === 'relora' && step > interval ? Math.min(1, (sinceRestart + 1) / 4) : 1;
      expect(clock.learningRateFactor).toBe(warmup);
      const now = { ...clock.scalars, learningRate: warmup * learningRate };
      const loss = trainer.step(`batch ${step}`, now);
      expect(published.step(`batch ${step}`, step, warmup * learningRate)).toBeCloseTo(loss, 9);
      const refresh = clock.completeStep();
      expect(refresh !== undefined).toBe(method.name === 'relora' && step % interval === 0);
      for (const entry of refresh?.entries ?? []) trainer.between(entry, clock.scalars);
      if (refresh !== undefined) published.restart(trainer.persistent);
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
  const method: Method = { ...mesa({ groupSize: 16 }), rewriteForward, isTrained };
  const trainer = new TwinTrainer(llama(config), method, { ...shape, recompute: 'none' });
  const before = tensor([1], [trainer.step('batch', { learningRate: 0.01, step: 1 })]).data[0]!;
  expect(trainer.step('batch', { learningRate: 0.01, step: 2 })).toBeLessThan(before);
});
