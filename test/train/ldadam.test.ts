/** LDAdam on machines: twenty steps against the paper's algorithm in double precision. */
import { describe, expect, test } from '@jest/globals';
import { ldadam, type LdadamOptions } from '../../lib/methods/index.js';
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
const [beta1, beta2] = adam.betas;
const [rank, rho, weightDecay] = [4, 0.8, 0.1];
const methodOf = (change: LdadamOptions = {}) => ldadam({ rank, rho, weightDecay, ...adam, ...change });

const times = (a: Tensor, b: Tensor): Tensor => product(a, b, exact);
const plus = (a: Tensor, b: Tensor, factor = 1): Tensor =>
  mapElements(a, (value, i) => value + factor * b.data[i]!);
const scaled = (a: Tensor, factor: number): Tensor => mapElements(a, (value) => factor * value);
const squared = (a: Tensor): Tensor => mapElements(a, (value) => value * value);
const lengthOf = ({ data }: Tensor): number => Math.hypot(...data);

interface LdadamEquations extends Equations {
  /** Largest share of what a power iteration gives that lies outside of the subspace after it. */
  outside: number;
}

/**
 * For n <= m, else for transposes, given P: A = G + E, R = P^T A, moments carried by Q = P^T P_before, Adam in the subspace,
 * W = W (1 - rate decay) - rate P N, E = A - P R + beta1 / (1 - beta1) (P_before m - P Q m) (algorithm 1). P is held against the
 * power iteration B B^T P_before of B = rho P_before m^ + (1 - rho) A.
 */
function equations(errorFeedback = true): LdadamEquations {
  const states = new Map<string, Tensor>();
  const bases = new Map<string, Tensor>();
  const result: LdadamEquations = { states, outside: 0, update };

  function wideStep(
    name: string,
    g: Tensor,
    p: Tensor,
    step: number,
    asWeight: (x: Tensor) => Tensor,
  ): Tensor {
    const [key, errorKey] = [`${name}.expAvg`, `${name}.error`];
    const error = states.get(errorKey);
    const a = errorFeedback && error !== undefined ? plus(g, asWeight(error)) : g;
    const before = bases.get(name) ?? p;
    bases.set(name, p);
    const m = states.has(key) ? asWeight(states.get(key)!) : tensor([rank, g.shape[1]!]);
    const turn = times(transposed(p), before);
    const carried = times(turn, m);
    if (step > 1) {
      const [first, second] = [1 - beta1 ** (step - 1), 1 - beta2 ** (step - 1)];
      const mean = scaled(m, 1 / first);
      const b = plus(scaled(times(before, mean), rho), a, 1 - rho);
      const iterated = times(b, times(transposed(b), before));
      const rest = plus(iterated, times(p, times(transposed(p), iterated)), -1);
      result.outside = Math.max(result.outside, lengthOf(rest) / lengthOf(iterated));
      const v = asWeight(states.get(`${key}Sq`)!);
      const variance = plus(scaled(v, 1 / second), squared(mean), -1);
      const square = plus(times(squared(turn), variance), squared(times(turn, mean)));
      states.set(key, asWeight(carried));
      states.set(`${key}Sq`, asWeight(mapElements(square, (value) => second * Math.abs(value))));
    }
    const r = times(transposed(p), a);
    const n = asWeight(adamEquation(states, name, asWeight(r), { step, ...adam }));
    if (errorFeedback) {
      const ofMoment = plus(times(before, m), times(p, carried), -1);
      const left = plus(plus(a, times(p, r), -1), ofMoment, beta1 / (1 - beta1));
      states.set(errorKey, asWeight(left));
    }
    return times(p, n);
  }

  function update(
    weight: Tensor,
    gradient: Tensor,
    { name, step, learningRate, given }: Parameters<Equations['update']>[2],
  ): Tensor {
    const basis = given('subspace');
    const [rows, columns = 0] = weight.shape as [number, number?];
    const asWide = rows > columns ? transposed : (x: Tensor): Tensor => x;
    const direction =
      basis === undefined
        ? adamEquation(states, name, gradient, { step, ...adam })
        : asWide(wideStep(name, asWide(gradient), basis, step, asWide));
    const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
    return mapElements(weight, (w, i) => w * keep - learningRate * direction.data[i]!);
  }

  return result;
}

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['in one run', true, {}],
    ['without error feedback', false, {}],
    ['with accumulation and clipping', true, { microBatches: 2, options: { maxGradNorm: 0.5 } }],
    ['clipped without error feedback', false, { options: { maxGradNorm: 0.5 } }],
    ['with recomputation', true, { options: { recompute: 'layer' as const } }],
  ])('%s', async (_, errorFeedback, change) => {
    const method = methodOf({ errorFeedback });
    const run = { method, machine, steps: 20, learningRate: 0.003, given: ['subspace'], ...change };
    const paper = equations(errorFeedback);
    const worst = await differenceFromEquations(run, paper);
    // fp32 over twenty steps: Adam divides by roots of small numbers, which multiplies the error of gradients.
    expect(worst.losses).toBeLessThan(1e-5);
    expect(worst.weights).toBeLessThan(1e-5);
    expect(worst.states).toBeLessThan(1e-4);
    expect(paper.outside).toBeLessThan(1e-4);
  });
});

test.each(['avx2', cudaDevice] as const)('twenty steps in bf16, %s', async (machine) => {
  const run = { method: methodOf(), machine, dtype: 'bf16', steps: 20 } as const;
  const worst = await differenceFromEquations(
    { ...run, learningRate: 0.03, given: ['subspace'] },
    equations(),
  );
  expectNearInBf16(worst, { ofStates: 0.16, ofSteps: 0.16 });
});

describeRefreshedRuns(ldadam({ rank: 8 }));
