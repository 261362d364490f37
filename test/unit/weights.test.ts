/** Weights in codes: bytes of each, what exists of a whole one and when, wrong mixes. */
import { describe, expect, test } from '@jest/globals';
import { compile, type CompileOptions, type Plan, type PlanValue } from '../../lib/compile/index.js';
import {
  badam,
  dense,
  dora,
  compact,
  galore,
  lora,
  loraFa,
  type Method,
  qlora,
  relora,
} from '../../lib/methods/index.js';
import { weightRewrite } from '../../lib/methods/weights/weight-options.js';
import { llama } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';

const planned = (method: Method, options: Partial<CompileOptions> = {}): Plan =>
  compile({
    model: llama('llama-60m'),
    method,
    target: planTarget,
    batchSize: 2,
    sequenceLength: 128,
    dtype: 'bf16',
    ...options,
  });

const persistent = ({ values }: Plan): readonly PlanValue[] =>
  values.filter(({ region }) => region === 'persistent');
const totalBytes = (values: readonly PlanValue[]): number =>
  values.reduce((total, { bytes }) => total + bytes, 0);
const elementsOf = ({ shape }: Pick<PlanValue, 'shape'>): number => shape.reduce((a, b) => a * b, 1);

/** What stands in the place of each weight that is in codes: its parts, by its name. */
function partsByWeight(plan: Plan): ReadonlyMap<string, readonly PlanValue[]> {
  const parts = new Map<string, PlanValue[]>();
  for (const value of persistent(plan)) {
    const [, weight] = /^(.*\.weight)\.(?:codes|scales|magnitudes|ranges)$/.exec(value.name) ?? [];
    if (weight !== undefined) parts.set(weight, [...(parts.get(weight) ?? []), value]);
  }
  return parts;
}

const weightsOf = (plan: Plan): ReadonlyMap<string, PlanValue> =>
  new Map(persistent(plan).map((value) => [value.name, value]));

describe.each([
  ['nf4', qlora(), 4.15, 7 * 8],
  ['int8', dense({ weights: 'int8' }), 8.3, 7 * 8],
  ['int8 of frozen layers', lora({ weights: 'int8' }), 8.3, 7 * 8],
  ['int8, of embedding and head too', lora({ weights: 'int8', embeddingWeights: 'int8' }), 8.3, 7 * 8 + 2],
] as const)('%s', (_, method, mostBits, count) => {
  const plan = planned(method);
  const whole = weightsOf(planned(dense()));
  const parts = partsByWeight(plan);

  test('bits of a weight with all its scales', () => {
    expect(parts.size).toBe(count);
    for (const [name, values] of parts)
      expect((8 * totalBytes(values)) / elementsOf(whole.get(name)!)).toBeLessThanOrEqual(mostBits);
  });

  test('the weight itself is in no entry, and the ledger has its parts among the parameters', () => {
    for (const [name, values] of parts) {
      expect(weightsOf(plan).has(name)).toBe(false);
      expect(new Set(values.map(({ kind }) => kind))).toEqual(new Set(['parameter']));
    }
  });

  test('no step, evaluation or generation holds numbers of the shape of a frozen weight', () => {
    const shapes = new Set([...parts.keys()].map((name) => whole.get(name)!.shape.join()));
    const isFrozen = !persistent(plan).some(({ name }) => name.endsWith('.codes.expAvg'));
    for (const [name, { lifetimes }] of Object.entries(plan.entries)) {
      if (name === 'initialize') continue;
      const numbers = lifetimes
        .map(({ value }) => plan.values[value]!)
        .filter(({ dtype, shape }) => (dtype === 'bf16' || dtype === 'f32') && shapes.has(shape.join()));
      // What is trained has a gradient and a direction.
      const kinds = new Set(numbers.map(({ kind }) => kind));
      expect(kinds).toEqual(new Set(isFrozen || name !== 'step' ? [] : ['gradient']));
    }
  });

  test('at the start one whole weight exists at a time', () => {
    const largest = Math.max(...[...parts.keys()].map((name) => whole.get(name)!.bytes));
    expect(plan.entries.initialize!.arenaLowerBoundBytes).toBe(largest);
  });
});

test('NF4 of an odd number of columns, 5461 of llama-1b', () => {
  const options = { model: llama('llama-1b'), entries: ['train'] } as const;
  const plan = planned(qlora(), options);
  const whole = weightsOf(planned(dense(), options));
  const parts = partsByWeight(plan);
  expect(parts.size).toBe(7 * 24);
  expect([...parts.keys()].filter((name) => whole.get(name)!.shape[1] === 5461)).toHaveLength(2 * 24);
  for (const [name, values] of parts)
    expect((8 * totalBytes(values)) / elementsOf(whole.get(name)!)).toBeLessThanOrEqual(4.15);
});

test('a weight in codes starts from the numbers that it would have', () => {
  const seeds = (method: Method) =>
    planned(method)
      .entries.initialize!.instructions.filter(({ op }) => op === 'randomNormal')
      .map(({ attributes }) => attributes.tensorId);
  expect(new Set(seeds(dense({ weights: 'int8' })))).toEqual(new Set(seeds(dense())));
});

test('what adapters train, and what a method trains beside them, is in no codes', () => {
  const names = [...partsByWeight(planned(loraFa({ weights: 'nf4' }))).keys()];
  expect(names.some((name) => name.includes('lora_'))).toBe(false);
});

describe('LLaMA-3-8B, 1 x 2048 tokens in bf16', () => {
  const model = llama({
    vocabSize: 128256,
    hiddenSize: 4096,
    intermediateSize: 14336,
    numHiddenLayers: 32,
    numAttentionHeads: 32,
    numKeyValueHeads: 8,
    maxPositionEmbeddings: 8192,
  });
  const gibibytes = (method: Method) =>
    planned(method, {
      model,
      batchSize: 1,
      sequenceLength: 2048,
      recompute: 'layer',
      gradientDtype: 'bf16',
      lossChunkTokens: 256,
      entries: ['train'],
    }).peakBytes /
    2 ** 30;
  const stateless = { optimizer: 'scale', embeddingOptimizer: 'adafactor' } as const;

  test.each([
    [
      'all parameters trained, with compressed inputs',
      compact({ rank: 8, store: 'lazy', ...stateless }),
      16.8,
    ],
    [
      'all parameters trained, with compressed inputs, layers in int8',
      compact({ rank: 8, store: 'lazy', weights: 'int8', ...stateless }),
      10.5,
    ],
    [
      'all parameters trained, in subspaces, layers in int8',
      galore({ optimizer: 'adamw-8bit', weights: 'int8', embeddingOptimizer: 'adafactor' }),
      15,
    ],
    ['all parameters trained, layers in int8', dense({ weights: 'int8', ...stateless }), 10.5],
    ['qlora', qlora({ r: 16 }), 6.8],
    ['qlora with embedding and head in int8', qlora({ r: 16, embeddingWeights: 'int8' }), 6.0],
  ])('%s', (_, method, most) => {
    expect(gibibytes(method)).toBeLessThanOrEqual(most);
  });
});

test('the update of codes holds its step for a few rows at a time, and no projection is stored', () => {
  const plan = planned(compact({ rank: 8, weights: 'int8' }));
  const steps = plan.entries.step!.instructions.filter(({ op }) => op === 'projectBackUpdateInt8');
  expect(steps).toHaveLength(6 * 8);
  // Query, key and value have one projection between them, as in the dtype of the run: gate and up, too.
  const projectionsOf = (method: Method) =>
    planned(method)
      .entries.step!.instructions.filter(({ op }) => op === 'project')
      .map(({ attributes }) => attributes.tensorId);
  expect(projectionsOf(compact({ rank: 8, weights: 'int8' }))).toEqual(projectionsOf(compact({ rank: 8 })));
});

describe('mixes that make no sense', () => {
  test.each([
    ['nf4 of weights that train', () => dense({ weights: 'nf4' }), 'weights'],
    ['an int8 table that trains', () => dense({ embeddingWeights: 'int8' }), 'embeddingWeights'],
    [
      'int8 with an optimizer that rounds no codes',
      () => dense({ weights: 'int8', optimizer: 'sgd' }),
      'optimizer',
    ],
    ['nf4 of weights that train in turns', () => badam({ weights: 'nf4' }), 'weights'],
    [
      'int8 tables that train beside turns',
      () => badam({ embeddingWeights: 'int8', otherParameters: 'trained' }),
      'embeddingWeights',
    ],
    ['codes that norms are taken of', () => dora({ weights: 'nf4' }), 'weights'],
    ['codes that adapters are added to', () => relora({ weights: 'int8' }), 'weights'],
    ['a format that there is not', () => dense({ weights: 'int4' as 'int8' }), 'weights'],
  ])('%s', (_, create, op) => {
    expect(create).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op }));
  });

  test('int8 with an optimizer that cannot round', () => {
    const options = { weights: 'int8', embeddingWeights: 'dtype' } as const;
    expect(() => weightRewrite('dense', options, {}, { name: 'rough' })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'optimizer', received: 'rough' }),
    );
  });
});
