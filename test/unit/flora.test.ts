/** FLORA: what it holds. Its steps: test/train/flora.test.ts. */
import { describe, expect, test } from '@jest/globals';
import type { CompileOptions } from '../../lib/compile/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { compact, dense, flora, type FloraOptions, type Method, StepClock } from '../../lib/methods/index.js';
import { planSmall, smallConfig } from '../helpers/plan-small.js';

const { hiddenSize: h, intermediateSize: f, vocabSize: vocabulary, numHiddenLayers: layers } = smallConfig;
const rank = 8;
const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
  planSmall(method, { entries: ['train'], ...change });
/** Output widths of the weights of a layer. */
const widths = [h, h, h, h, f, f, h];
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const numNorms = 2 * layers + 1;

describe('a plan', () => {
  test('has states of r m + r + m elements for each weight', () => {
    const compressed = layers * sum(widths.map((m) => rank * m + rank + m));
    const tables = 2 * (vocabulary * h + vocabulary + h);
    const norms = numNorms * (2 * h + 1);
    expect(memoryReport(planOf(flora({ rank }))).byKind.optimizerState).toBe(
      4 * (compressed + tables + norms),
    );
  });

  test('has gradients of r m elements while micro-batches add up', () => {
    const { byKind } = memoryReport(planOf(flora({ rank }), { accumulateGradients: true }));
    const compressed = layers * sum(widths.map((m) => rank * m));
    expect(byKind.gradient).toBe(4 * (compressed + 2 * vocabulary * h + numNorms * h));
  });

  /** Bytes of what forward leaves to backward. */
  function held(method: Method): number {
    const plan = planOf(method);
    const { instructions, lifetimes } = plan.entries.step!;
    const boundary = instructions.findIndex(({ phase }) => phase === 'backward');
    return sum(
      lifetimes
        .filter(({ first, last }) => first < boundary && last >= boundary)
        .map(({ value }) => plan.values[value]!)
        .filter(({ kind }) => kind === 'activation' || kind === 'compressedActivation')
        .map(({ bytes }) => bytes),
    );
  }

  test('holds for backward what dense training does, which compact does not', () => {
    expect(held(flora({ rank }))).toBe(held(dense()));
    expect(held(compact({ rank }))).toBeLessThan(held(dense()));
  });

  test('has no full gradient of a compressed weight', () => {
    const { values } = planOf(flora({ rank }));
    const ofLayers = values.filter(({ kind, layer }) => kind === 'gradient' && layer.startsWith('layers.'));
    expect(ofLayers.length).toBeGreaterThan(0);
    for (const { name, bytes } of ofLayers) expect([name, bytes < 4 * h * h]).toEqual([name, true]);
  });
});

describe('options', () => {
  const epochs = (options: FloraOptions) => {
    const clock = new StepClock(flora(options));
    return Array.from({ length: 4 }, () => {
      const { projectionEpoch } = clock.scalars;
      return [projectionEpoch, clock.completeStep()?.entries];
    });
  };

  test('say when averages are carried to a new projection', () => {
    expect(epochs({ refreshInterval: 2 })).toEqual([
      [0, undefined],
      [0, ['refresh']],
      [1, undefined],
      [1, ['refresh']],
    ]);
    expect(flora().describe()).toMatchObject({
      refreshInterval: 1000,
      optimizer: 'adafactor',
      momentum: 0.9,
    });
  });

  test('without momentum each step has a projection of its own', () => {
    expect(epochs({ optimizer: 'sgd', momentum: 0 }).map(([epoch]) => epoch)).toEqual([0, 1, 2, 3]);
  });

  test.each(['apollo', 'apollo-mini', 'adamw-8bit'] as const)('%s is refused by name', (optimizer) => {
    expect(() => flora({ optimizer })).toThrow(
      expect.objectContaining({
        code: 'ERR_COMPACT_CONFIG_VALUE',
        op: 'optimizer',
        received: `"${optimizer}"`,
      }),
    );
  });

  test('both ranks, and one over the width, are refused', () => {
    const error = expect.objectContaining({ code: 'ERR_COMPACT_RANK' });
    expect(() => flora({ rank: 4, rankRatio: 0.5 })).toThrow(error);
    expect(() => planOf(flora({ rank: h + 1 }))).toThrow(error);
  });
});

test.each([dense({ optimizer: 'adafactor' }), flora()])(
  'under published conditions Adafactor keeps f32',
  (method) => {
    expect(method.published!().describe()).toMatchObject({ optimizer: 'adafactor', stateFormat: 'f32' });
  },
);
