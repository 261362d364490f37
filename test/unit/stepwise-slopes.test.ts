/** Slopes of activation functions as step functions: mathematics, bytes, and models that have none. */
import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { opDefinitions, type Value } from '../../lib/graph/index.js';
import {
  compact,
  dense,
  lora,
  loraFa,
  type Method,
  type MethodOptions,
  StepClock,
} from '../../lib/methods/index.js';
import { llama, modelFromDescription } from '../../lib/models/index.js';
import { planTarget } from '../helpers/plan-target.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';
import type { Tensor } from '../reference/index.js';

const stepwise = { activationSlopes: 'stepwise' } as const;

/** Table 1 of the paper's appendix, as the authors' code has it: a of the three ReLU, and where they begin. */
const mixtures = {
  silu: {
    a: [-0.04060357190528599, 1.080925428529668, -0.040321856624382146],
    c: [-6.3050461001646445, -0.0008684942046214787, 6.325815242089708],
  },
  gelu: {
    a: [-0.04922261145617846, 1.0979632065417297, -0.048740595085551286],
    c: [-3.1858810036855245, -0.001178821281161997, 3.190832613414926],
  },
} as const;

/** Of the sum of a (x - c)+. */
const slopeOf = ({ a, c }: (typeof mixtures)[keyof typeof mixtures], x: number): number =>
  a.reduce((sum, factor, i) => (x > c[i]! ? sum + factor : sum), 0);

describe.each(['silu', 'gelu'] as const)('%s', (name) => {
  const { thresholds, slopes } = opDefinitions.get(name)!.slopeSteps!;
  const steppedAt = (x: number) => [0, ...slopes][thresholds.filter((threshold) => x > threshold).length]!;
  const logistic = (x: number) => 1 / (1 + Math.exp(-x));
  const normal = (x: number) => logistic(1.5957691216 * (x + 0.044715 * x ** 3));
  const valueAt = (x: number) => x * (name === 'silu' ? logistic(x) : normal(x));

  const places = Array.from({ length: 2000 }, (_, i) => (i - 1000) / 100);
  const largest = (differenceAt: (x: number) => number) =>
    Math.max(...places.map((x) => Math.abs(differenceAt(x))));

  test('steps are those of the mixture of the paper', () => {
    expect(largest((x) => steppedAt(x) - slopeOf(mixtures[name], x))).toBeLessThan(1e-12);
  });

  test('the function of these slopes is near the true one', () => {
    let sum = 0;
    const farthest = largest((x) => (sum += steppedAt(x) / 100) - valueAt(x));
    expect(farthest).toBeLessThan(name === 'silu' ? 0.28 : 0.17);
  });
});

const config = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 18, // an odd number of bytes of segments
  numHiddenLayers: 2,
  numAttentionHeads: 2,
};
const shape = { batchSize: 2, sequenceLength: 4, fuseSwiglu: false } as const;

/** Where the exact slope of silu is this one: it rises from its least to its most between -2.4 and 2.4. */
function placeOfSlope(slope: number): number {
  if (slope === 0) return -1e9;
  const slopeAt = (x: number) => {
    const s = 1 / (1 + Math.exp(-x));
    return s * (1 + x * (1 - s));
  };
  let [low, high] = [-2.3, 2.3];
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (slopeAt(middle) < slope) low = middle;
    else high = middle;
  }
  return low;
}

/** What exact backward would have to read in the place of a gate to have the slope of the mixture. */
function withSteps({ name }: Value, { shape: dims, data }: Tensor): Tensor {
  return {
    shape: dims,
    data: name === 'gate' ? data.map((x) => placeOfSlope(slopeOf(mixtures.silu, x))) : data,
  };
}

const optionsOf = { weightDecay: 0.1, epsilon: 1e-6 } as const;
const spaces: Readonly<Record<string, (saving: MethodOptions) => Method>> = {
  'full gradients': (saving) => dense({ ...optionsOf, ...saving }),
  'compressed inputs': (saving) => compact({ ...optionsOf, rank: 4, refreshInterval: 7, ...saving }),
  adapters: (saving) => lora({ ...optionsOf, r: 4, targetModules: 'all-linear', ...saving }),
};

test.each(Object.entries(spaces))('%s: twenty steps have the slopes of the mixture', (_, methodWith) => {
  const compiled = new TwinTrainer(llama(config), methodWith(stepwise), { ...shape, recompute: 'none' });
  const published = new TwinTrainer(llama(config), methodWith({}), { ...shape, heldAs: withSteps });
  const exact = new TwinTrainer(llama(config), methodWith({}), shape);
  const clock = new StepClock(methodWith(stepwise));
  for (let step = 1; step <= 20; step++) {
    const now = { ...clock.scalars, learningRate: 0.01 };
    const trainers = [compiled, published, exact];
    const [found, expected, other] = trainers.map((trainer) => trainer.step(`batch ${step}`, now));
    expect(found).toBeCloseTo(expected!, 9);
    if (step === 1) expect(found).toBe(other); // forward is exact
    clock.completeStep();
  }
  let difference = 0;
  for (const [name, { data }] of published.persistent) {
    for (const [i, value] of data.entries()) {
      expect(compiled.persistent.get(name)!.data[i]).toBeCloseTo(value, 8);
      difference = Math.max(difference, Math.abs(exact.persistent.get(name)!.data[i]! - value));
    }
  }
  expect(difference).toBeGreaterThan(1e-3);
});

describe('bytes', () => {
  const tokens = 4 * 128;
  const [layers, width] = [2, 256];
  const model = modelFromDescription({
    ...{ architecture: 'gpt2', vocabSize: 64, nPositions: 128, nEmbd: 64 },
    ...{ nLayer: layers, nHead: 2 },
  });
  const options = { model, target: planTarget, batchSize: 4, sequenceLength: 128 } as const;

  /** Bytes of activations and of what stands for them that forward leaves to backward. */
  function handedOver(method: Method, dtype: 'f32' | 'bf16', recompute: 'none' | 'cheap' = 'none'): number {
    const { values, entries } = compile({ ...options, dtype, method, recompute });
    const { instructions, lifetimes } = entries.step!;
    const boundary = instructions.findIndex(({ phase }) => phase === 'backward');
    return lifetimes
      .filter(({ first, last }) => first < boundary - 1 && last >= boundary)
      .map(({ value }) => values[value]!)
      .filter(({ kind }) => kind === 'activation' || kind === 'compressedActivation')
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }

  const methods: Readonly<Record<string, (saving: MethodOptions) => Method>> = {
    dense,
    compact: (saving) => compact({ rank: 8, ...saving }),
    'lora-fa': (saving) => loraFa({ r: 4, ...saving }),
  };
  const cases = Object.keys(methods).flatMap((name) => [
    [name, 'f32', 4] as const,
    [name, 'bf16', 2] as const,
  ]);

  test.each(cases)('%s, %s: two bits for %d bytes of an input of gelu', (name, dtype, elementBytes) => {
    const [plain, ours] = [methods[name]!({}), methods[name]!(stepwise)];
    const elements = layers * tokens * width;
    expect(handedOver(plain, dtype) - handedOver(ours, dtype)).toBe(elements * (elementBytes - 1 / 4));
  });

  test('next to copies in int8, which have a byte more for each input', () => {
    const copies = { savedActivations: 'int8' } as const;
    const [plain, ours] = [compact({ rank: 8, ...copies }), compact({ rank: 8, ...copies, ...stepwise })];
    const elements = layers * tokens * width;
    expect(handedOver(plain, 'bf16') - handedOver(ours, 'bf16')).toBe(elements * (1 + 4 / 256 - 1 / 4));
  });

  test('evaluation and writing are those of exact slopes', () => {
    const [ours, plain] = [dense(stepwise), dense()].map((method) =>
      compile({ ...options, dtype: 'f32', method, entries: ['evaluate', 'generate'] }),
    );
    expect(ours).toEqual(plain);
  });
});

test('gated units in one op are refused by name', () => {
  const gated = {
    model: llama(config),
    target: planTarget,
    batchSize: 2,
    sequenceLength: 4,
    dtype: 'f32',
  } as const;
  expect(() => compile({ ...gated, method: compact({ rank: 4, ...stepwise }) })).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: 'activationSlopes',
      message: expect.stringContaining('compact: no activation function of this model is alone'),
    }),
  );
});
