/** RSO: what it holds, beside CompAct. Its steps: test/train/rso.test.ts. */
import { describe, expect, test } from '@jest/globals';
import type { CompileOptions, Plan } from '../../lib/compile/index.js';
import { memoryReport } from '../../lib/memory/index.js';
import { compact, dense, type Method, rso, StepClock } from '../../lib/methods/index.js';
import { planSmall, smallConfig } from '../helpers/plan-small.js';

const { hiddenSize: h, intermediateSize: f, vocabSize: vocabulary, numHiddenLayers: layers } = smallConfig;
const rank = 8;
const planOf = (method: Method, change: Partial<CompileOptions> = {}) =>
  planSmall(method, { entries: ['train'], ...change });
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
/** Output widths of all weights of a layer together: four of attention, gate and up, down. */
const width = 4 * h + 2 * f + h;
const inFull = 2 * vocabulary * h + (2 * layers + 1) * h;

describe('a plan', () => {
  test('has states of 2 r m elements for each weight, and r m with a proximal term', () => {
    const states = (method: Method): number => memoryReport(planOf(method)).byKind.optimizerState;
    expect(states(rso({ rank }))).toBe(4 * 2 * (layers * rank * width + inFull));
    expect(states(rso({ rank, proximalPenalty: 1 }))).toBe(4 * (3 * layers * rank * width + 2 * inFull));
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

  test('holds for backward what compact does with a projection for each weight', () => {
    expect(held(rso({ rank }))).toBe(held(compact({ rank, sharing: 'weight' })));
    expect(held(rso({ rank }))).toBeLessThan(held(dense()));
  });

  const cleared = ({ entries, values }: Plan): string[] =>
    entries['refresh']!.instructions.map(({ outputs: [output] }) => values[output!]!.name);

  test('begins all states of subspaces anew, and no others', () => {
    const names = cleared(planOf(rso({ rank, proximalPenalty: 1 })));
    expect(names).toHaveLength(3 * 7 * layers);
    expect(names.every((name) => name.includes('_proj'))).toBe(true);
  });

  test.each(['restart', 'reset'] as const)(
    '%s of what is frozen makes no states of it',
    (momentsAtRefresh) => {
      const frozen = ['model.layers.*.mlp.*'];
      const plan = planOf(compact({ rank, momentsAtRefresh, frozen }));
      expect(cleared(plan).some((name) => name.includes('mlp'))).toBe(false);
      expect(plan.values.some(({ kind, name }) => kind === 'optimizerState' && name.includes('mlp'))).toBe(
        false,
      );
    },
  );
});

test('each subspace counts its steps', () => {
  const clock = new StepClock(rso({ innerSteps: 2 }));
  const steps = Array.from({ length: 5 }, () => {
    const { projectionEpoch, firstMomentStep, step } = clock.scalars;
    return [projectionEpoch, firstMomentStep, step, clock.completeStep()?.entries];
  });
  expect(steps).toEqual([
    [0, 1, 1, undefined],
    [0, 2, 2, ['refresh']],
    [1, 1, 3, undefined],
    [1, 2, 4, ['refresh']],
    [2, 1, 5, undefined],
  ]);
});

test.each(['apollo', 'apollo-mini'] as const)('%s is refused by name', (optimizer) => {
  expect(() => rso({ optimizer })).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      message: expect.stringContaining(`${optimizer} does not work with rso`),
    }),
  );
});
