/** Optimizers on machines: twenty steps against the equations of their papers in double precision. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compact, dense } from '../../lib/methods/index.js';
import { expectExactResume, train } from '../helpers/exact-resume.js';
import { cudaDevice } from '../helpers/machines.js';
import { differenceFromEquations, type MethodRun } from '../helpers/method-equations.js';
import { methodIn, optimizerCases, optimizerSpaces, weightDecay } from '../helpers/optimizer-cases.js';
import { optimizerEquations } from '../helpers/optimizer-equations.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

/**
 * What compact leaves dense (output, embedding, head, norms) has full gradients without clipping, in one run. Accumulation is
 * the compiler's, not a backend's, so that the slow emulation is spared it.
 */
type SpaceCase = readonly [keyof typeof optimizerSpaces, Partial<MethodRun>];
const onCpu: readonly SpaceCase[] = [
  ['dense', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
  ['compact, a new projection every step', {}],
  ['compact, new projections after 7 and 14', { microBatches: 2 }],
];
const onCuda: readonly SpaceCase[] = [
  ['dense', { options: { maxGradNorm: 0.5 } }],
  ['compact, new projections after 7 and 14', {}],
];

describe.each([
  ['avx2', onCpu],
  [cudaDevice, onCuda],
] as const)('twenty steps, %s', (machine, spaces) => {
  describe.each(Object.entries(optimizerCases))(
    '%s',
    (_, { options, direction, learningRate, tolerance }) => {
      test.each(spaces)('%s %j', async (name, change) => {
        const space = optimizerSpaces[name];
        const run = {
          method: methodIn(space, options),
          machine,
          steps: 20,
          learningRate,
          config: { numHiddenLayers: 1 },
          ...change,
        };
        const worst = await differenceFromEquations(run, optimizerEquations(direction, weightDecay, space));
        expect(worst.losses).toBeLessThan(tolerance);
        expect(worst.weights).toBeLessThan(tolerance);
        expect(worst.states).toBeLessThan(10 * tolerance);
      });
    },
  );
});

describe.each(['adam-mini', 'foam', 'scale', 'rmnp', 'muon', 'lion', 'sgd'] as const)(
  'a run with %s',
  (optimizer) => {
    const { folder, text } = makeFolder();
    let numRuns = 0;
    const newOutput = (): string => join(folder, `run-${numRuns++}`);
    const options = { optimizer, ...(optimizer === 'sgd' && { momentum: 0.9 }) } as const;
    const learningRate = optimizer === 'lion' ? 0.001 : 0.01;

    test.each([
      ['bf16, clipped', dense(options), { dtype: 'bf16' as const, maxGradNorm: 0.5 }],
      [
        'compact, what it averages moved to new projections',
        compact({ ...options, rank: 8, refreshInterval: 3, momentsAtRefresh: 'transfer' }),
        {},
      ],
      [
        'compact in bf16, accumulated',
        compact({ ...options, rank: 8, refreshInterval: 1 }),
        { dtype: 'bf16' as const, gradientAccumulationSteps: 2 },
      ],
    ])('resumed equals an uninterrupted one to the bit: %s', async (_, method, change) => {
      await expectExactResume(tinyRun(text, { method, learningRate, ...change }), newOutput, [2, 5]);
    });

    test('learns in bf16 about as in f32, the same with any number of threads', async () => {
      const lossesOf = async (dtype: 'f32' | 'bf16', threads: number) => {
        const run = { method: dense(options), learningRate, dtype, threads, maxSteps: 20 };
        return (await train(tinyRun(text, { ...run, outputDirectory: newOutput() }))).losses;
      };
      const [f32, bf16, threaded] = [
        await lossesOf('f32', 1),
        await lossesOf('bf16', 1),
        await lossesOf('bf16', 3),
      ];
      expect(threaded).toEqual(bf16);
      expect(f32.at(-1)!).toBeLessThan(f32[0]! - 0.5);
      // Rounding of weights to eight bits of mantissa, stochastic: a few hundredths of a loss of five.
      expect(Math.abs(bf16.at(-1)! - f32.at(-1)!)).toBeLessThan(0.15);
    });
  },
);
