/** Fira on machines: twenty steps with refreshes inside, against the paper's equations in double precision. */
import { describe, expect, test } from '@jest/globals';
import { fira } from '../../lib/methods/index.js';
import { describeRefreshedRuns } from '../helpers/describe-refreshed-runs.js';
import { cudaDevice } from '../helpers/machines.js';
import {
  adamEquation,
  differenceFromEquations,
  type Equations,
  expectNearInBf16,
} from '../helpers/method-equations.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { product, transposed } from '../reference/product.js';
import { exact } from '../reference/tensor.js';

const adam = { betas: [0.9, 0.99], epsilon: 1e-3 } as const;
const [alpha, weightDecay] = [0.25, 0.1];
// Below the width of keys and values: at full rank there is nothing outside.
const options = { rank: 4, refreshInterval: 7, weightDecay, ...adam } as const;
const method = fira(options);

const times = (a: Tensor, b: Tensor): Tensor => product(a, b, exact);
function columnLengths({ shape, data }: Tensor): number[] {
  const [, columns] = shape as [number, number];
  return Array.from({ length: columns }, (_, j) =>
    Math.hypot(...data.filter((_value, i) => i % columns === j)),
  );
}

interface FiraEquations extends Equations {
  /** Steps of weights whose growth was limited. */
  readonly limited: number[];
}

/**
 * For G (n, m) with n <= m, else for its transpose, given Q: R = Q^T G, N = Adam(R), f_j = |N_j| / |R_j|, S = f (G - Q R),
 * no longer than 1.01 times the one before, W = W (1 - rate decay) - rate (alpha Q N + S).
 */
function equations(): FiraEquations {
  const states = new Map<string, Tensor>();
  const limited: number[] = [];

  function stepOf(name: string, gradient: Tensor, basis: Tensor, step: number): Tensor {
    const [rows, columns] = gradient.shape as [number, number];
    if (rows > columns) return transposed(wideStep(name, transposed(gradient), basis, step, true));
    return wideStep(name, gradient, basis, step, false);
  }

  /** States have the shape that the weight's own side gives them. */
  function wideStep(name: string, g: Tensor, basis: Tensor, step: number, isTransposed: boolean): Tensor {
    const r = times(transposed(basis), g);
    const asWeight = isTransposed ? transposed : (matrix: Tensor): Tensor => matrix;
    const n = asWeight(adamEquation(states, name, asWeight(r), { step, ...adam }));
    const [under, of] = [columnLengths(r), columnLengths(n)];
    const inside = times(basis, r);
    const outside = mapElements(g, (value, i) => {
      const j = i % g.shape[1]!;
      return ((value - inside.data[i]!) * of[j]!) / (under[j]! + 1e-8);
    });
    const length = Math.hypot(...outside.data);
    const before = states.get(`${name}.residualNorm`)?.data[0];
    const limiter = before === undefined ? 1 : Math.max(length / (before + 1e-8), 1.01) / 1.01;
    if (limiter > 1) limited.push(step);
    states.set(`${name}.residualNorm`, tensor([1], [length / limiter]));
    const back = times(basis, n);
    return mapElements(back, (value, i) => alpha * value + outside.data[i]! / limiter);
  }

  return {
    states,
    limited,
    update(weight, gradient, { name, step, learningRate, given }) {
      const basis = given('subspace');
      const direction =
        basis === undefined
          ? adamEquation(states, name, gradient, { step, ...adam })
          : stepOf(name, gradient, basis, step);
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return mapElements(weight, (w, i) => w * keep - learningRate * direction.data[i]!);
    },
  };
}

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['in one run', {}],
    ['with accumulation and clipping', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
    ['with recomputation', { options: { recompute: 'layer' as const } }],
  ])('%s', async (_, change) => {
    const run = { method, machine, steps: 20, learningRate: 0.003, given: ['subspace'], ...change };
    const paper = equations();
    const worst = await differenceFromEquations(run, paper);
    const hasRun = paper.states.size > 0; // it has not where this computer lacks the machine
    expect(paper.limited.length > 0).toBe(hasRun);
    // fp32 over twenty steps: Adam divides by roots of small numbers, which multiplies the error of gradients.
    expect(worst.losses).toBeLessThan(1e-5);
    expect(worst.weights).toBeLessThan(1e-5);
    expect(worst.states).toBeLessThan(5e-5);
  });
});

test.each(['avx2', cudaDevice] as const)('twenty steps of weights in int8, %s', async (machine) => {
  const int8 = fira({ ...options, weights: 'int8' });
  const run = { method: int8, machine, steps: 20, learningRate: 0.003, given: ['subspace'] };
  const worst = await differenceFromEquations(run, equations());
  expect(worst.ties).toBeLessThan(1e-4);
  expect(worst.losses).toBeLessThan(1e-5);
  expect(worst.states).toBeLessThan(5e-5);
});

test.each(['avx2', cudaDevice] as const)('twenty steps in bf16, %s', async (machine) => {
  const run = { method, machine, dtype: 'bf16', steps: 20, learningRate: 0.03, given: ['subspace'] } as const;
  const worst = await differenceFromEquations(run, equations());
  // Adam divides elements by roots of their own, so that of small ones the direction has larger errors.
  expectNearInBf16(worst, { ofSteps: 0.16 });
});

describeRefreshedRuns(fira({ refreshInterval: 3, rank: 8 }));
