/** Optimizers against the equations of their papers, on the float64 twins; what they keep, by formula and by plan. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions } from '../../lib/compile/index.js';
import { Graph, type ParameterRole } from '../../lib/graph/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { compact, dense, type Method, type MethodOptions, StepClock } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { methodIn, optimizerCases, optimizerSpaces, weightDecay } from '../helpers/optimizer-cases.js';
import { optimizerEquations } from '../helpers/optimizer-equations.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';

const config: LlamaConfig = {
  vocabSize: 29,
  hiddenSize: 16,
  intermediateSize: 40,
  numHiddenLayers: 1,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};
const shape = { batchSize: 2, sequenceLength: 4 };
const largest = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);

describe.each(Object.entries(optimizerCases))(
  'twenty steps of %s',
  (_, { options, direction, learningRate }) => {
    test.each(Object.entries(optimizerSpaces))('%s', (_name, space) => {
      const method = methodIn(space, options);
      const found = new TwinTrainer(llama(config), method, shape);
      const gradients = new TwinTrainer(llama(config), dense(), shape);
      const equations = optimizerEquations(direction, weightDecay, space);
      const clock = new StepClock(method);
      for (let step = 1; step <= 20; step++) {
        const loss = found.step(`batch ${step}`, { ...clock.scalars, learningRate });
        clock.completeStep();
        const right = gradients.gradients(`batch ${step}`);
        expect(Math.abs(loss - right.loss)).toBeLessThan(1e-9);
        for (const [name, gradient] of right.gradients) {
          const weight = gradients.persistent.get(name)!;
          const context = { name, step, learningRate, given: () => gradient };
          gradients.persistent.set(name, equations.update(weight, gradient, context));
        }
      }
      for (const [name, { data }] of [...gradients.persistent, ...equations.states]) {
        const difference = found.persistent.get(name)!.data.map((value, i) => value - data[i]!);
        expect(largest(difference)).toBeLessThan(1e-9);
      }
      const states = [...found.persistent.keys()].filter((name) => !gradients.persistent.has(name));
      expect(states.toSorted()).toEqual([...equations.states.keys()].toSorted());
    });
  },
);

describe('the clipping factor', () => {
  /** Ops of an update that read it, of a weight (24, 6). */
  function readers(method: Method, role: ParameterRole): string[] {
    const graph = new Graph();
    const info = { role, initializer: { type: 'constant', value: 0 } } as const;
    const weight = graph.parameter('weight', [24, 6], 'f32', info);
    const [input, outputGradient] = [graph.input('x', [5, 24], 'f32'), graph.input('dy', [5, 6], 'f32')];
    const gradient = method.weightGradient(graph, { input, outputGradient, weight }, 'f32');
    const gradientScale = graph.input('gradientScale', [1], 'f32');
    method.update(graph, weight, gradient, { gradientScale });
    return graph.nodes.filter(({ inputs }) => inputs.includes(gradientScale)).map(({ op }) => op);
  }

  test.each([
    ['adam-mini', ['adamDirection', 'momentum'], ['adamDirection', 'momentum']],
    ['rmnp', ['momentum'], ['momentum']],
    ['muon', ['momentum'], ['momentum']],
    ['lion', ['lionDirection'], ['lionDirection']],
    ['sgd', ['sgd'], ['momentum']],
    ['scale', [], []], // cancels out
  ] as const)('%s', (optimizer, inDense, inCompact) => {
    expect(readers(dense({ optimizer }), 'query')).toEqual(inDense);
    expect(readers(compact({ optimizer, rank: 8 }), 'query')).toEqual(inCompact);
  });

  test('is read once by foam, whose gradient has a mean and a rest', () => {
    const options = { optimizer: 'foam', foldLevel: 1 } as const;
    expect(readers(dense(options), 'query')).toEqual(['scaleChannels']);
    expect(readers(compact({ ...options, rank: 8 }), 'query')).toEqual(['scaleChannels']);
  });

  test('is read by the average of the head in scale', () => {
    expect(readers(dense({ optimizer: 'scale' }), 'head')).toEqual(['momentum']);
  });
});

describe('bytes of states', () => {
  const [h, f, vocabulary, layers] = [32, 88, 64, 3];
  const model = llama({
    vocabSize: vocabulary,
    hiddenSize: h,
    intermediateSize: f,
    numAttentionHeads: 4,
    numHiddenLayers: layers,
  });
  const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
    compile({
      model,
      method,
      target: planTarget,
      batchSize: 2,
      sequenceLength: 16,
      dtype: 'f32',
      ...change,
    });
  const bytesOf = (method: Method, change: Partial<CompileOptions> = {}): number =>
    memoryReport(planOf(method, change)).byKind.optimizerState;

  const norms = (2 * layers + 1) * h;
  const table = vocabulary * h; // embedding or head
  const matrices = layers * (4 * h * h + 3 * h * f);
  const all = 2 * table + matrices + norms;
  const elements: readonly [MethodOptions, number][] = [
    [{ optimizer: 'adamw' }, 2 * all],
    [{ optimizer: 'scale' }, table + 2 * norms],
    [{ optimizer: 'rmnp' }, matrices + 2 * (2 * table + norms)],
    [{ optimizer: 'muon' }, matrices + 2 * (2 * table + norms)],
    [{ optimizer: 'lion' }, all],
    [{ optimizer: 'sgd' }, 0],
    [{ optimizer: 'sgd', momentum: 0.9 }, all],
  ];

  test.each(elements)('%j: elements by formula', (options, count) => {
    expect(bytesOf(dense(options))).toBe(4 * count);
    expect(bytesOf(dense({ ...options, stateFormat: 'bf16' }), { dtype: 'bf16' })).toBe(2 * count);
  });

  /** Heads of q and k; outputs of v, o, gate, up, down; rows of both tables; norms. */
  const blocks = layers * (2 * 4 + 3 * h + 2 * f) + 2 * vocabulary + 2 * layers + 1;

  test('of adam-mini: one of each element, two of each block, which are f32', () => {
    const options = { optimizer: 'adam-mini' } as const;
    expect(bytesOf(dense(options))).toBe(4 * (all + 2 * blocks));
    expect(bytesOf(dense({ ...options, stateFormat: 'bf16' }), { dtype: 'bf16' })).toBe(2 * all + 8 * blocks);
  });

  test.each([
    ['adam-mini', 'none', 2 * h * h, 1],
    ['adam-mini', 'layer', 2 * h * h, 1],
    ['foam', 'none', 4 * h * h, 2],
    ['foam', 'layer', 4 * h * h, 2],
  ] as const)(
    '%s has one full gradient alive, and beside it what it is worked with; recompute %s',
    (optimizer, recompute, bytesBeside, numBeside) => {
      const plan = planOf(dense({ optimizer }), { recompute });
      const { lifetimes, instructions } = plan.entries.step!;
      const isAlive = (kind: string, least: number) => {
        const large = lifetimes.filter(({ value }) => {
          const { kind: of, bytes, layer } = plan.values[value]!;
          return of === kind && bytes >= least && layer.startsWith('layers.');
        });
        return Math.max(
          ...instructions.map((_, i) => large.filter(({ first, last }) => first <= i && i <= last).length),
        );
      };
      expect(isAlive('gradient', 4 * h * h)).toBe(1);
      expect(isAlive('workspace', bytesBeside)).toBe(numBeside);
    },
  );

  test('of foam: two of each block of outputs, of embedding and head two of each element', () => {
    const hidden = all - 2 * table - norms;
    const others = 2 * (2 * table + norms);
    expect(bytesOf(dense({ optimizer: 'foam' }))).toBe(4 * ((2 * hidden) / 8 + others));
    expect(bytesOf(dense({ optimizer: 'foam', foldLevel: 2 }))).toBe(4 * ((2 * hidden) / 4 + others));
    expect(() => planOf(dense({ optimizer: 'foam', foldLevel: 6 }))).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'foldLevel', received: '32 outputs' }),
    );
  });

  test('in a compressed space, of the compressed gradient', () => {
    const rank = 8;
    const compressed = layers * rank * (3 * h + 2 * f + h); // q, k, v; gate, up; down
    const output = layers * h * h;
    const of = (options: MethodOptions): number => bytesOf(compact({ ...options, rank }));
    expect(of({ optimizer: 'scale' })).toBe(4 * (table + 2 * norms));
    expect(of({ optimizer: 'sgd' })).toBe(0);
    expect(of({ optimizer: 'lion' })).toBe(4 * (compressed + output + 2 * table + norms));
    expect(of({ optimizer: 'adam-mini' })).toBe(4 * (compressed + output + 2 * table + norms + 2 * blocks));
    for (const optimizer of ['muon', 'rmnp'] as const)
      expect(of({ optimizer })).toBe(4 * (compressed + output + 2 * (2 * table + norms)));
  });
});

describe('options', () => {
  const error = (op: string, code = 'ERR_COMPACT_CONFIG_VALUE') =>
    expect.objectContaining({ name: 'CompactError', code, op });

  test('have the defaults of the papers', () => {
    const rest = { betas: [0.9, 0.999], epsilon: 1e-8 };
    expect(dense({ optimizer: 'scale' }).describe()).toMatchObject({ ...rest, headMomentum: 0.9 });
    expect(dense({ optimizer: 'rmnp' }).describe()).toMatchObject({ ...rest, momentum: 0.95 });
    expect(dense({ optimizer: 'muon' }).describe()).toMatchObject({
      ...rest,
      momentum: 0.95,
      nesterov: true,
      updateSize: 'spectral',
    });
    expect(dense({ optimizer: 'adam-mini' }).describe()).toMatchObject(rest);
    expect(dense({ optimizer: 'lion' }).describe()).toMatchObject({ betas: [0.9, 0.99] });
    expect(dense({ optimizer: 'sgd' }).describe()).toMatchObject({ momentum: 0, nesterov: false });
  });

  test('that are wrong are refused', () => {
    expect(() => dense({ optimizer: 'scale', headMomentum: 1 })).toThrow(error('headMomentum'));
    expect(() => dense({ optimizer: 'sgd', momentum: -0.1 })).toThrow(error('momentum'));
    expect(() => dense({ optimizer: 'muon', updateSize: 'frobenius' as 'rms' })).toThrow(error('updateSize'));
    expect(() => dense({ optimizer: 'lion', betas: [0.9, 1] })).toThrow(error('betas.1'));
    for (const given of [
      { optimizer: 'adamw', momentum: 0.9 },
      { optimizer: 'sgd', betas: [0.9, 0.99] },
      { optimizer: 'lion', epsilon: 1e-8 },
      { optimizer: 'rmnp', nesterov: true },
    ] as MethodOptions[])
      expect(() => dense(given)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_UNKNOWN_KEY' }));
  });
});
