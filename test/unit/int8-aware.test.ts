/** Weights that are read through the int8 groups they would be rounded to: mathematics, bytes, what is refused. */
import { describe, expect, test } from '@jest/globals';
import { compile, type Plan } from '../../lib/compile/index.js';
import {
  compact,
  dense,
  flora,
  lora,
  type Method,
  type MethodOptions,
  relora,
  StepClock,
} from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget } from '../../lib/runtime/index.js';
import { int8Weight, numbersOf } from '../helpers/int8-weights.js';
import { withEngine } from '../helpers/machines.js';
import { adamEquation } from '../helpers/method-equations.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import { putWeights } from '../helpers/whole-model.js';
import { mapElements, type Tensor } from '../reference/index.js';

const aware = { weights: 'int8-aware' } as const;
const config = {
  vocabSize: 29,
  hiddenSize: 16,
  intermediateSize: 40,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};
const model = llama(config);
const shape = { batchSize: 2, sequenceLength: 8 };
const isLayer = (name: string) => name.endsWith('_proj.weight');

/** Weights of layers as they come back from int8, others as they are. */
const roundedToInt8 = (weights: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> =>
  new Map([...weights].map(([name, w]) => [name, isLayer(name) ? numbersOf(int8Weight(w)) : w]));

function copyWeights(from: ReadonlyMap<string, Tensor>, to: TwinTrainer): void {
  for (const [name, value] of from) to.persistent.set(name, value);
}

const spaces: Readonly<Record<string, (more: MethodOptions) => Method>> = {
  'full gradients': dense,
  'compressed inputs': (more) => compact({ rank: 4, ...more }),
  'projected gradients': (more) => flora({ rank: 4, ...more }),
};

test.each(Object.entries(spaces))('%s are those at the rounded weights', (_, methodWith) => {
  const [ours, plain] = [aware, {}].map((more) => new TwinTrainer(model, methodWith(more), shape));
  copyWeights(roundedToInt8(ours!.persistent), plain!);
  const [found, right] = [ours!, plain!].map((trainer) => trainer.gradients('batch'));
  expect(found!.loss).toBeCloseTo(right!.loss, 12);
  expect([...found!.gradients.keys()].toSorted()).toEqual([...right!.gradients.keys()].toSorted());
  for (const [name, { data }] of right!.gradients)
    for (const [i, value] of data.entries())
      expect(found!.gradients.get(name)!.data[i]).toBeCloseTo(value, 9);
});

test('twenty steps of AdamW move the weights along gradients at the rounded ones', () => {
  const adam = { betas: [0.9, 0.99], epsilon: 1e-6 } as const;
  const [weightDecay, learningRate] = [0.1, 0.01];
  const method = dense({ ...adam, weightDecay, ...aware });
  const ours = new TwinTrainer(model, method, shape);
  const plain = new TwinTrainer(model, dense(), shape);
  let weights: ReadonlyMap<string, Tensor> = new Map(ours.persistent);
  const states = new Map<string, Tensor>();
  const clock = new StepClock(method);
  for (let step = 1; step <= 20; step++) {
    copyWeights(roundedToInt8(weights), plain);
    const { loss, gradients } = plain.gradients(`batch ${step}`);
    expect(ours.step(`batch ${step}`, { ...clock.scalars, learningRate })).toBeCloseTo(loss, 9);
    clock.completeStep();
    const moved = [...gradients].map(([name, gradient]): [string, Tensor] => {
      const weight = weights.get(name)!;
      const direction = adamEquation(states, name, gradient, { step, ...adam });
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return [name, mapElements(weight, (w, i) => w * keep - learningRate * direction.data[i]!)];
    });
    weights = new Map([...weights, ...moved]);
  }
  for (const [name, { data }] of weights)
    for (const [i, value] of data.entries()) expect(ours.persistent.get(name)!.data[i]).toBeCloseTo(value, 8);
});

const planOf = (method: Method, more: Partial<Parameters<typeof compile>[0]> = {}): Plan =>
  compile({ model, method, target: planTarget, ...shape, dtype: 'f32', ...more });

test('a trained model evaluates as its weights do when they are loaded in int8, to the bit', async () => {
  const weights = new TwinTrainer(model, dense(), shape).persistent;
  const entries = ['evaluate'] as const;
  const [ofAware, ofInt8] = [dense(aware), dense({ weights: 'int8' })].map((method) =>
    planOf(method, { entries: [...entries], target: cpuTarget({ threads: 1 }) }),
  );
  const coded = new Map<string, Tensor>(
    [...weights].flatMap(([name, w]) => {
      if (!isLayer(name)) return [[name, w] as const];
      const { codes, scales } = int8Weight(mapElements(w, Math.fround));
      return [[`${name}.codes`, codes] as const, [`${name}.scales`, scales] as const];
    }),
  );
  const numbers = (numIds: number) => Int32Array.from({ length: 16 }, (_, i) => (i * 7) % numIds);
  const inputs = { tokens: numbers(29), targets: numbers(23) };
  const losses: number[] = [];
  await withEngine('scalar', 1, async (engine) => {
    for (const [plan, given] of [[ofAware!, weights] as const, [ofInt8!, coded] as const]) {
      await engine.load(plan);
      await putWeights(engine, plan, given, model.constants(shape.sequenceLength));
      const { outputs } = await engine.run('evaluate', { inputs, scalars: { lossScale: 1 / 16 } });
      losses.push(outputs['loss']![0]!);
    }
  });
  expect(losses).toHaveLength(2);
  expect(losses[0]).toBe(losses[1]);
});

describe('plans', () => {
  test('weights and states are those of dense, and the codes of a layer are activations', () => {
    const [ours, plain] = [planOf(dense(aware)), planOf(dense())];
    expect(ours.persistentBytes).toBe(plain.persistentBytes);
    const encodings = ours.entries.step!.instructions.filter(({ op }) => op === 'quantize');
    expect(encodings).toHaveLength(7 * config.numHiddenLayers);
    for (const { outputs } of encodings)
      for (const output of outputs) expect(ours.values[output]!.kind).toBe('compressedActivation');
  });

  test('with recomputation codes are made again for each layer, and not held', () => {
    const opsIn = (recompute: 'none' | 'cheap') =>
      planOf(dense(aware), { recompute }).entries.step!.instructions.filter(
        ({ op, phase }) => op === 'quantize' && phase === 'backward',
      ).length;
    expect([opsIn('none'), opsIn('cheap')]).toEqual([0, 7 * config.numHiddenLayers]);
  });

  test('gradients add up over micro-batches, and are clipped', () => {
    const { entries } = planOf(dense(aware), { accumulateGradients: true, maxGradNorm: 1 });
    expect(Object.keys(entries)).toEqual(expect.arrayContaining(['accumulate', 'update']));
  });
});

test.each([
  ['lora', () => lora(aware)],
  ['relora', () => relora(aware)],
])('%s is refused by name', (name, create) => {
  const what = `${name} does not train its weights, which learn nothing of how they are rounded`;
  expect(create).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'weights', what }));
});
