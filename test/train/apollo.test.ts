/** APOLLO and APOLLO-Mini on machines: twenty steps with changes of the projection, against their equations. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parameterId } from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import { expectExactResume, train } from '../helpers/exact-resume.js';
import { cudaDevice } from '../helpers/machines.js';
import {
  adamEquation,
  differenceFromEquations,
  type Equations,
  expectNearInBf16,
} from '../helpers/method-equations.js';
import { makeFolder, tinyRun } from '../helpers/tiny-run.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { projection } from '../reference/projection.js';
import { exact } from '../reference/tensor.js';

const adam = { betas: [0.9, 0.99], epsilon: 1e-3 } as const;
const [refreshInterval, weightDecay, seed] = [7, 0.1, 42];

const optimizers = {
  apollo: { rank: 4, updateScale: 1 },
  'apollo-mini': { rank: 1, updateScale: Math.sqrt(128) },
} as const;
type Name = keyof typeof optimizers;

const lengthOf = (values: readonly number[] | Float64Array): number => Math.hypot(...values);

/** R = P^T G or G P, s = |Adam(R)| / |R| of each channel or of all, G s no longer than 1.01 times what came before. */
function equations(optimizer: Name): Equations {
  const states = new Map<string, Tensor>();
  const { rank, updateScale } = optimizers[optimizer];

  function scaled(name: string, gradient: Tensor, step: number): Tensor {
    const [rows, columns] = gradient.shape as [number, number];
    const isLeft = rows <= columns;
    const epoch = Math.floor((step - 1) / refreshInterval);
    const key = { seedLow: seed, seedHigh: 0, tensorId: parameterId(name), epoch, distribution: 0 };
    const p = projection(Math.min(rows, columns), rank, key);
    const r = isLeft ? product(p, gradient, exact, true) : product(gradient, p, exact);
    const n = adamEquation(states, name, r, { step, ...adam });
    const channelOf = (matrix: Tensor, i: number): number =>
      optimizer === 'apollo-mini' ? 0 : isLeft ? i % matrix.shape[1]! : Math.floor(i / matrix.shape[1]!);
    const lengths = (matrix: Tensor): number[] => {
      const channels: number[][] = [];
      for (const [i, value] of matrix.data.entries()) (channels[channelOf(matrix, i)] ??= []).push(value);
      return channels.map(lengthOf);
    };
    const [of, under] = [lengths(n), lengths(r)];
    const step1 = mapElements(gradient, (value, i) => {
      const channel = channelOf(gradient, i);
      return (value * of[channel]!) / (under[channel]! + 1e-8);
    });
    const length = lengthOf(step1.data);
    const before = states.get(`${name}.stepNorm`)?.data[0];
    const limiter = before === undefined ? 1 : Math.max(length / (before + 1e-8), 1.01) / 1.01;
    states.set(`${name}.stepNorm`, tensor([1], [length / limiter]));
    return mapElements(step1, (value) => value / limiter);
  }

  return {
    states,
    update(weight, gradient, { name, step, learningRate }) {
      const isMatrix = name.includes('_proj');
      const direction = isMatrix
        ? scaled(name, gradient, step)
        : adamEquation(states, name, gradient, { step, ...adam });
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      const rate = learningRate * (isMatrix ? updateScale : 1);
      return mapElements(weight, (w, i) => w * keep - rate * direction.data[i]!);
    },
  };
}

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  describe.each(Object.keys(optimizers) as Name[])('%s', (optimizer) => {
    const { rank } = optimizers[optimizer];
    const method = dense({ optimizer, rank, refreshInterval, weightDecay, seed, ...adam });

    test.each([
      ['in one run', {}],
      ['with accumulation and clipping', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
      ['with recomputation', { options: { recompute: 'layer' as const } }],
    ])('%s', async (_, change) => {
      const run = { method, machine, steps: 20, learningRate: 0.003, ...change };
      const worst = await differenceFromEquations(run, equations(optimizer));
      // fp32 over twenty steps: Adam divides by roots of small numbers, which multiplies the error of gradients.
      expect(worst.losses).toBeLessThan(1e-5);
      expect(worst.weights).toBeLessThan(1e-5);
      expect(worst.states).toBeLessThan(5e-5);
    });
  });
});

describe.each(['avx2', cudaDevice] as const)('twenty steps in bf16, %s', (machine) => {
  test.each(Object.keys(optimizers) as Name[])('%s', async (optimizer) => {
    const { rank, updateScale } = optimizers[optimizer];
    const method = dense({ optimizer, rank, refreshInterval, weightDecay, seed, ...adam });
    const learningRate = 0.03 / updateScale;
    const run = { method, machine, dtype: 'bf16', steps: 20, learningRate } as const;
    const worst = await differenceFromEquations(run, equations(optimizer));
    // A projection to few dimensions keeps lengths on average only: that of an error may grow where that of the gradient
    // shrinks.
    expectNearInBf16(worst, { ofStates: 0.16 });
  });
});

describe('a run', () => {
  const { folder, text } = makeFolder();
  let numRuns = 0;
  const newOutput = (): string => join(folder, `run-${numRuns++}`);

  test.each(Object.keys(optimizers) as Name[])(
    'of %s, resumed around a change of the projection, equals an uninterrupted one to the bit',
    async (optimizer) => {
      const method = dense({ optimizer, refreshInterval: 3 });
      for (const dtype of ['f32', 'bf16'] as const)
        await expectExactResume(tinyRun(text, { method, dtype }), newOutput, [2, 3, 4]);
    },
  );

  test.each(Object.keys(optimizers) as Name[])('of %s learns in bf16 about as in f32', async (optimizer) => {
    const lossesOf = async (dtype: 'f32' | 'bf16') => {
      const change = { method: dense({ optimizer }), outputDirectory: newOutput(), dtype, maxSteps: 20 };
      return (await train(tinyRun(text, change))).losses;
    };
    const [f32, bf16] = [await lossesOf('f32'), await lossesOf('bf16')];
    expect(f32.at(-1)!).toBeLessThan(f32[0]! - 0.5);
    // Rounding of weights to eight bits of mantissa, stochastic: a few hundredths of a loss of five.
    expect(Math.abs(bf16.at(-1)! - f32.at(-1)!)).toBeLessThan(0.1);
  });
});
