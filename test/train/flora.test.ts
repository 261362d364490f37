/** FLORA on machines: twenty steps with new projections inside, against the paper's equations in double precision. */
import { describe, expect, test } from '@jest/globals';
import { parameterId } from '../../lib/graph/index.js';
import { flora } from '../../lib/methods/index.js';
import { adafactorDirection, rmsOf } from '../helpers/adafactor-equations.js';
import { describeRefreshedRuns } from '../helpers/describe-refreshed-runs.js';
import { cudaDevice } from '../helpers/machines.js';
import { differenceFromEquations, type Equations, expectNearInBf16 } from '../helpers/method-equations.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { product } from '../reference/product.js';
import { projection } from '../reference/projection.js';
import { exact } from '../reference/tensor.js';

const [rank, refreshInterval, weightDecay, seed] = [4, 7, 0.1, 42];
const options = { rank, refreshInterval, weightDecay, seed } as const;

/** What an optimizer averages, how much of it, and under which name it keeps the average. */
interface Base {
  latest(
    states: Map<string, Tensor>,
    gradient: Tensor,
    of: { weight: Tensor; name: string; step: number },
  ): Tensor;
  readonly share: number;
  readonly average: string;
}

const bases: Readonly<Record<'adafactor' | 'sgd', Base>> = {
  adafactor: {
    // As the authors' code has it, steps are relative to the parameter before they are averaged.
    latest(states, gradient, { weight, name, step }) {
      const size = Math.max(1e-3, rmsOf(weight));
      return mapElements(adafactorDirection(states, name, gradient, step), (value) => size * value);
    },
    share: 0.1,
    average: 'expAvg',
  },
  sgd: { latest: (_states, gradient) => gradient, share: 1, average: 'momentum' },
};
const optimizers = ['adafactor', 'sgd'] as const;

/**
 * M = 0.9 M + share of what the optimizer makes of P^T G, W = W (1 - rate decay) - rate P M; before a step with a new P,
 * M = P_new^T P_old M (algorithm 2, whose A is the transpose of P).
 */
function equations(optimizer: (typeof optimizers)[number]): Equations {
  const states = new Map<string, Tensor>();
  const { latest, share, average } = bases[optimizer];

  function projectionOf(name: string, width: number, epoch: number): Tensor {
    const key = { seedLow: seed, seedHigh: 0, tensorId: parameterId(name), epoch, distribution: 0 };
    return projection(width, rank, key);
  }

  return {
    states,
    update(weight, gradient, { name, step, learningRate }) {
      const key = `${name}.${average}`;
      const averaged = (g: Tensor): Tensor => {
        const now = latest(states, g, { weight, name, step });
        const old = states.get(key) ?? tensor(now.shape);
        states.set(
          key,
          mapElements(old, (value, i) => 0.9 * value + share * now.data[i]!),
        );
        return states.get(key)!;
      };
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      const moved = (along: Tensor): Tensor =>
        mapElements(weight, (w, i) => w * keep - learningRate * along.data[i]!);
      if (!name.includes('_proj')) return moved(averaged(gradient));

      const epoch = Math.floor((step - 1) / refreshInterval);
      const p = projectionOf(name, weight.shape[0]!, epoch);
      if (epoch > 0 && (step - 1) % refreshInterval === 0) {
        const old = projectionOf(name, weight.shape[0]!, epoch - 1);
        states.set(key, product(p, product(old, states.get(key)!, exact), exact, true));
      }
      return moved(product(p, averaged(product(p, gradient, exact, true)), exact));
    },
  };
}

// Ops are compared on every instruction set one by one; here it counts how they are put together.
describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  describe.each(optimizers)('%s', (optimizer) => {
    test.each([
      ['in one run', {}],
      ['with accumulation', { microBatches: 2 }],
      ['with recomputation', { options: { recompute: 'layer' as const } }],
    ])('%s', async (_, change) => {
      const method = flora({ ...options, optimizer });
      const run = { method, machine, steps: 20, learningRate: 0.01, ...change };
      const worst = await differenceFromEquations(run, equations(optimizer));
      // fp32 over twenty steps; small gradients are divided by the roots of their own small means.
      expect(worst.losses).toBeLessThan(1e-5);
      expect(worst.weights).toBeLessThan(2e-5);
      expect(worst.states).toBeLessThan(1e-4);
    });
  });
});

test.each(['avx2', cudaDevice] as const)('twenty steps in bf16, %s', async (machine) => {
  const method = flora({ ...options, optimizer: 'sgd' });
  const run = { method, machine, dtype: 'bf16', steps: 20, learningRate: 0.1 } as const;
  const worst = await differenceFromEquations(run, equations('sgd'));
  // A projection to few dimensions keeps lengths on average only: that of an error may grow where that of the gradient
  // shrinks.
  expectNearInBf16(worst, { ofStates: 0.16, ofSteps: 0.16 });
});

describeRefreshedRuns(flora({ refreshInterval: 3, rank: 8 }), { learningRate: 0.1 });
