/** What runs of a method whose space changes every few steps have in common, whatever the method. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Method } from '../../lib/methods/index.js';
import type { TrainerOptions } from '../../lib/train/index.js';
import { expectExactResume, train } from './exact-resume.js';
import { makeFolder, tinyRun } from './tiny-run.js';

/**
 * @param method its space changes after every third step
 * @param change of the run, e.g. the rate at which the method learns
 */
export function describeRefreshedRuns(method: Method, change: Partial<TrainerOptions> = {}): void {
  describe('a run', () => {
    const { folder, text } = makeFolder();
    let numRuns = 0;
    const newOutput = (): string => join(folder, `run-${numRuns++}`);

    test.each([
      ['f32', {}],
      ['bf16', { dtype: 'bf16' as const }],
      ['accumulation and clipping', { gradientAccumulationSteps: 2, maxGradNorm: 0.5 }],
    ])(
      'resumed before, at and after a refresh equals an uninterrupted one to the bit: %s',
      async (_, other) => {
        await expectExactResume(tinyRun(text, { method, ...other }), newOutput, [2, 3, 4, 6]);
      },
    );

    test('has the same bits with any number of threads', async () => {
      const lossesOf = async (threads: number): Promise<readonly number[]> =>
        (await train(tinyRun(text, { method, outputDirectory: newOutput(), threads }))).losses;
      expect(await lossesOf(3)).toEqual(await lossesOf(1));
    });

    test('learns in bf16 about as in f32', async () => {
      const lossesOf = async (dtype: 'f32' | 'bf16'): Promise<readonly number[]> => {
        const run = { method, outputDirectory: newOutput(), dtype, maxSteps: 20, ...change };
        return (await train(tinyRun(text, run))).losses;
      };
      const [f32, bf16] = [await lossesOf('f32'), await lossesOf('bf16')];
      expect(f32.at(-1)!).toBeLessThan(f32[0]! - 0.5);
      // Rounding of weights to eight bits of mantissa, stochastic: a few hundredths of a loss of five.
      expect(Math.abs(bf16.at(-1)! - f32.at(-1)!)).toBeLessThan(0.1);
    });
  });
}
