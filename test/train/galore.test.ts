/** GaLore on machines: twenty steps with refreshes inside, against the paper's equations in double precision. */
import { describe, expect, test } from '@jest/globals';
import { galore } from '../../lib/methods/index.js';
import { describeRefreshedRuns } from '../helpers/describe-refreshed-runs.js';
import { cudaDevice } from '../helpers/machines.js';
import {
  adamEquation,
  differenceFromEquations,
  type Equations,
  expectNearInBf16,
} from '../helpers/method-equations.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { exact } from '../reference/tensor.js';

const adam = { betas: [0.9, 0.99], epsilon: 1e-3 } as const;
const [alpha, weightDecay] = [0.25, 0.1];
const method = galore({ rank: 8, refreshInterval: 7, weightDecay, ...adam });

const transposed = (matrix: Tensor): Tensor => {
  const [rows, columns] = matrix.shape as [number, number];
  const of = (i: number): number => matrix.data[(i % rows) * columns + Math.floor(i / rows)]!;
  return tensor(
    [columns, rows],
    Array.from({ length: rows * columns }, (_, i) => of(i)),
  );
};
const times = (a: Tensor, b: Tensor): Tensor => product(a, b, exact);
const identity = tensor(
  [8, 8],
  Array.from({ length: 64 }, (_, i) => Number(i % 9 === 0)),
);
const difference = (a: Tensor, b: Tensor): number =>
  a.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.data[i]!)), 0);

/** R = Q^T G or G Q, N = Adam(R), W = W (1 - rate decay) - rate alpha Q N or N Q^T; given Q. */
function equations(isOrthonormalTo = 2e-6): Equations & { readonly bases: ReadonlySet<string> } {
  const states = new Map<string, Tensor>();
  const bases = new Set<string>();
  return {
    states,
    bases,
    update(weight, gradient, { name, step, learningRate, given }) {
      const basis = given('subspace');
      if (name.includes('down_proj.weight')) bases.add(basis.data.join());
      if (basis !== undefined)
        expect(difference(times(transposed(basis), basis), identity)).toBeLessThan(isOrthonormalTo);
      const [rows, columns = 0] = weight.shape as [number, number?];
      const isLeft = rows <= columns;
      const toSpace = (g: Tensor): Tensor => (isLeft ? times(transposed(basis), g) : times(g, basis));
      const back = (n: Tensor): Tensor => (isLeft ? times(basis, n) : times(n, transposed(basis)));
      const [compressed, scale] = basis === undefined ? [gradient, 1] : [toSpace(gradient), alpha];
      const direction = adamEquation(states, name, compressed, { step, ...adam });
      const full = basis === undefined ? direction : back(direction);
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return mapElements(weight, (w, i) => w * keep - learningRate * scale * full.data[i]!);
    },
  };
}

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['in one run', {}],
    ['with accumulation', { microBatches: 3 }],
    ['with clipping', { options: { maxGradNorm: 0.5 } }],
    ['with accumulation and clipping', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
    ['with recomputation', { options: { recompute: 'layer' as const } }],
  ])('%s', async (_, change) => {
    const run = { method, machine, steps: 20, learningRate: 0.01, given: ['subspace'], ...change };
    const paper = equations();
    const worst = await differenceFromEquations(run, paper);
    const hasRun = paper.states.size > 0; // it has not where this computer lacks the machine
    expect(paper.bases.size).toBe(hasRun ? 2 * 3 : 0); // of two layers, new at steps 1, 8 and 15
    // fp32 over twenty steps: Adam divides by roots of small numbers, which multiplies the error of gradients.
    expect(worst.losses).toBeLessThan(1e-5);
    expect(worst.weights).toBeLessThan(1e-5);
    expect(worst.states).toBeLessThan(5e-5);
  });
});

test.each(['avx2', cudaDevice] as const)('twenty steps of weights in int8, %s', async (machine) => {
  const int8 = galore({ rank: 8, refreshInterval: 7, weightDecay, ...adam, weights: 'int8' });
  const run = { method: int8, machine, steps: 20, learningRate: 0.01, given: ['subspace'] };
  const worst = await differenceFromEquations(run, equations());
  expect(worst.ties).toBeLessThan(1e-4);
  expect(worst.losses).toBeLessThan(1e-5);
  expect(worst.states).toBeLessThan(5e-5);
});

test.each(['avx2', cudaDevice] as const)('twenty steps in bf16, %s', async (machine) => {
  const run = { method, machine, dtype: 'bf16', steps: 20, learningRate: 0.1, given: ['subspace'] } as const;
  const worst = await differenceFromEquations(run, equations(2 ** -6));
  // Adam divides elements by roots of their own, so that of small ones the direction has larger errors.
  expectNearInBf16(worst, { ofSteps: 0.16 });
});

describeRefreshedRuns(galore({ refreshInterval: 3, rank: 8 }));
