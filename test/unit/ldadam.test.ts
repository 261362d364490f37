/** LDAdam: what it holds, beside GaLore. Its steps: test/train/ldadam.test.ts. */
import { describe, expect, test } from '@jest/globals';
import type { CompileOptions } from '../../lib/compile/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { ldadam, type LdadamOptions, type Method, StepClock } from '../../lib/methods/index.js';
import { planSmall, smallConfig } from '../helpers/plan-small.js';

const { hiddenSize: h, intermediateSize: f, vocabSize: vocabulary, numHiddenLayers: layers } = smallConfig;
const rank = 8;
const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
  planSmall(method, { entries: ['train'], ...change });

describe('a plan', () => {
  test('has states of n r + 2 r m elements for each weight, and n m of what is left', () => {
    const states = (options: LdadamOptions): number =>
      memoryReport(planOf(ldadam(options))).byKind.optimizerState;
    const square = h * rank + 2 * rank * h;
    const wide = h * rank + 2 * rank * f; // gate and up as down
    const inFull = 2 * (2 * vocabulary * h + (2 * layers + 1) * h);
    const compressed = layers * (4 * square + 3 * wide) + inFull;
    expect(states({ rank, errorFeedback: false })).toBe(4 * compressed);
    const left = layers * (4 * h * h + 3 * h * f);
    expect(states({ rank })).toBe(4 * (compressed + left));
  });

  test.each([
    ['none', true],
    ['layer', true],
    ['layer', false],
  ] as const)('has one full gradient alive, recompute %s, feedback %s', (recompute, errorFeedback) => {
    const plan = planOf(ldadam({ rank, errorFeedback }), { recompute });
    const isFull = (index: number): boolean => {
      const { kind, bytes, layer, region } = plan.values[index]!;
      return region === 'arena' && kind === 'gradient' && layer.startsWith('layers.') && bytes >= 4 * h * h;
    };
    for (const name of ['step', 'step:start']) {
      const { lifetimes, instructions } = plan.entries[name]!;
      const full = lifetimes.filter(({ value }) => isFull(value));
      const alive = instructions.map(
        (_, i) => full.filter(({ first, last }) => first <= i && i <= last).length,
      );
      expect(Math.max(...alive)).toBe(1);
    }
  });
});

test('the first step is a form of its own, the others know the corrections of the step before', () => {
  const clock = new StepClock(ldadam({ betas: [0.5, 0.75] }));
  const steps = Array.from({ length: 3 }, () => {
    const { variant, scalars } = clock;
    const { momentCorrection, varianceShare } = scalars;
    clock.completeStep();
    return [variant, momentCorrection, varianceShare];
  });
  expect(steps.map(([variant]) => variant)).toEqual(['start', undefined, undefined]);
  expect(steps[1]!.slice(1)).toEqual([2, 1]);
  expect(steps[2]![1]).toBeCloseTo(1 / 0.75, 12);
  expect(steps[2]![2]).toBeCloseTo(0.4375 / 0.75 ** 2, 12);
  expect(() => clock.restore(2, { moments: { steps: 3 } })).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_CHECKPOINT_INVALID' }),
  );
});

test.each([
  [{ optimizer: 'muon' as const }, 'optimizer'],
  [{ stateFormat: 'bf16' as const }, 'stateFormat'],
  [{ rho: 1 }, 'rho'],
])('%o is refused by name', (options, op) => {
  expect(() => ldadam(options)).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op }));
});

test('a rank over the smaller side is refused', () => {
  expect(() => planOf(ldadam({ rank: h + 1 }))).toThrow(
    expect.objectContaining({ code: 'ERR_COMPACT_RANK' }),
  );
});

test('under published conditions moments stay in fp32', () => {
  expect(ldadam().published!().describe()).toMatchObject({ stateFormat: 'f32' });
});
