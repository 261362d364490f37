/** Training on the CUDA backend: the losses of the CPU, the same bytes of every value, exact resume. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { compile } from '../../lib/compile/index.js';
import { compact, dense, type Method } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { cpuTarget, cudaTarget } from '../../lib/runtime/index.js';
import { contentOf, expectExactResume, train } from '../helpers/exact-resume.js';
import { cudaDevice, isOnGpu } from '../helpers/machines.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';

const { folder, text } = makeFolder();
let numRuns = 0;
const newOutput = (): string => join(folder, `run-${numRuns++}`);

const methods: Readonly<Record<string, Method>> = {
  dense: dense(),
  'compact, stored': compact({ rankRatio: 0.25, refreshInterval: 2 }),
  'compact, lazy': compact({ rankRatio: 0.25, refreshInterval: 2, store: 'lazy', outputProjection: 'lazy' }),
};
const cases = Object.keys(methods).flatMap((name) =>
  (['f32', 'bf16'] as const).map((dtype) => [name, dtype] as const),
);

/** The widths of the demo model; one layer of its four where each step is emulated. */
const demo = llama('llama-demo', isOnGpu ? {} : { numHiddenLayers: 1 });

describe(`on ${cudaDevice}`, () => {
  test.each(cases)('the demo model, %s in %s, has the losses of the CPU', async (name, dtype) => {
    const run = tinyRun(text, {
      model: demo,
      method: methods[name]!,
      dtype,
      batchSize: 1,
      sequenceLength: isOnGpu ? 256 : 24,
      maxSteps: isOnGpu ? 10 : 4,
      learningRate: 0.003,
    });
    const [onCpu, onCuda] = [
      await train({ ...run, device: 'cpu', outputDirectory: newOutput() }),
      await train({ ...run, device: cudaDevice, outputDirectory: newOutput() }),
    ];
    expect(onCuda.losses.length).toBe(run.maxSteps);
    expect(onCpu.losses.at(-1)).toBeLessThan(onCpu.losses[0]!); // there is something to follow
    for (const [step, loss] of onCuda.losses.entries()) {
      // Sums in another order; with bf16, attention's probabilities are rounded, and so is what follows from them.
      expect(Math.abs(loss / onCpu.losses[step]! - 1)).toBeLessThan(dtype === 'f32' ? 1e-5 : 2e-3);
    }
  });

  test.each(cases)('%s in %s: every value has the bytes that it has on the CPU', (name, dtype) => {
    const options = { model: demo, method: methods[name]!, batchSize: 2, sequenceLength: 64, dtype };
    const [onCpu, onCuda] = [cpuTarget({ threads: 2 }), cudaTarget(cudaDevice)].map((target) =>
      compile({ ...options, target }),
    );
    const bytes = (plan: typeof onCpu) =>
      plan!.values
        .map(({ name: value, layer, bytes: size }) => `${layer} ${value} ${size}`)
        .sort((a, b) => a.localeCompare(b));
    expect(bytes(onCuda)).toEqual(bytes(onCpu));
    expect(onCuda!.persistentBytes).toBe(onCpu!.persistentBytes);
    const prepared = (plan: typeof onCpu) =>
      Object.values(plan!.entries).flatMap(({ instructions }) =>
        instructions.filter(({ isPreparedAhead }) => isPreparedAhead).map(({ op }) => op),
      );
    expect(prepared(onCpu)).toEqual([]);
    const isCompact = methods[name]!.name === 'compact';
    expect(new Set(prepared(onCuda))).toEqual(new Set(isCompact ? ['project', 'projectBackUpdate'] : []));
  });

  test.each([
    ['compact', {}],
    [
      'compact in bf16 with stochastic rounding, accumulated',
      { dtype: 'bf16', gradientAccumulationSteps: 2 },
    ],
  ] as const)('a resumed run equals an uninterrupted one to the bit: %s', async (_, change) => {
    await expectExactResume(tinyRun(text, { ...change, device: cudaDevice }), newOutput, [2, 5]);
  });

  test.each([{}, { gradientAccumulationSteps: 3 }])(
    'a run equals its repetition to the bit, as graphs or not: %j',
    async (change) => {
      const run = tinyRun(text, { ...change, device: cudaDevice, maxSteps: 4 });
      const [first, second] = [
        await train({ ...run, graphs: 'off', outputDirectory: newOutput() }),
        await train({ ...run, graphs: 'on', outputDirectory: newOutput() }),
      ];
      expect(second.losses).toEqual(first.losses);
      expect(await contentOf(second.checkpoint)).toEqual(await contentOf(first.checkpoint));
    },
  );
});
