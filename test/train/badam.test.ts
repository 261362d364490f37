/** BAdam on machines: twenty steps over several turns, against the paper's algorithm in double precision. */
import { describe, expect, test } from '@jest/globals';
import { badam, type BadamOptions } from '../../lib/methods/index.js';
import { describeRefreshedRuns } from '../helpers/describe-refreshed-runs.js';
import { cudaDevice } from '../helpers/machines.js';
import {
  adamEquation,
  differenceFromEquations,
  type Equations,
  expectNearInBf16,
} from '../helpers/method-equations.js';
import { mapElements } from '../reference/index.js';

const adam = { betas: [0.9, 0.99], epsilon: 1e-3 } as const;
const weightDecay = 0.1;
const turns = { blocks: 2, switchInterval: 6, switchMode: 'descending' } as const;
// Three layers in two blocks: the first has two of them.
const config = { numHiddenLayers: 3 };
const [largest, other] = [[0, 1], [2]] as const;
const methodOf = (change: BadamOptions = {}) => badam({ ...turns, weightDecay, ...adam, ...change });

/**
 * Adam with the moments of one block, which begin at zero with its turn: (m, v) = 0, then K steps of Adam on the block with
 * bias corrections that count them, all else as it is (algorithm 1). What is in no block has moments of its own, or is frozen.
 */
function equations(otherParameters: 'frozen' | 'trained'): Equations {
  const states: Equations['states'] = new Map();
  const layerOf = (name: string): number | undefined => {
    const [, layer] = /^model\.layers\.(\d+)\./.exec(name) ?? [];
    return layer === undefined ? undefined : Number(layer);
  };
  const activeAt = (step: number): readonly number[] =>
    Math.floor((step - 1) / turns.switchInterval) % 2 === 0 ? other : largest;
  let active: readonly number[] = [];
  return {
    states,
    isTrained(name, step) {
      const layer = layerOf(name);
      return layer === undefined ? otherParameters === 'trained' : activeAt(step).includes(layer);
    },
    update(weight, gradient, { name, step, learningRate }) {
      if (activeAt(step) !== active) {
        active = activeAt(step);
        for (const [state, { data }] of states) if (state.includes('block')) data.fill(0);
      }
      const layer = layerOf(name);
      const place =
        layer === undefined
          ? name
          : name.replace('.codes', '').replace(String(layer), `block[${active.indexOf(layer)}]`);
      const seen = layer === undefined ? step : ((step - 1) % turns.switchInterval) + 1;
      const direction = adamEquation(states, place, gradient, { step: seen, ...adam });
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return mapElements(weight, (w, i) => w * keep - learningRate * direction.data[i]!);
    },
  };
}

const common = { steps: 20, learningRate: 0.003, config };

describe.each(['scalar', cudaDevice] as const)('twenty steps, %s', (machine) => {
  test.each([
    ['of layers', 'frozen', {}],
    ['of layers and all else', 'trained', {}],
    ['with accumulation and clipping', 'trained', { microBatches: 2, options: { maxGradNorm: 0.5 } }],
    ['with recomputation', 'frozen', { options: { recompute: 'layer' as const } }],
  ] as const)('%s', async (_, otherParameters, change) => {
    const run = { method: methodOf({ otherParameters }), machine, ...common, ...change };
    const worst = await differenceFromEquations(run, equations(otherParameters));
    // fp32 over twenty steps: Adam divides by roots of small numbers, which multiplies the error of gradients.
    expect(worst.losses).toBeLessThan(1e-5);
    expect(worst.weights).toBeLessThan(1e-5);
    expect(worst.states).toBeLessThan(5e-5);
  });
});

test.each(['avx2', cudaDevice] as const)('twenty steps of weights in int8, %s', async (machine) => {
  const run = { method: methodOf({ weights: 'int8' }), machine, ...common };
  const worst = await differenceFromEquations(run, equations('frozen'));
  expect(worst.ties).toBeLessThan(1e-4);
  expect(worst.losses).toBeLessThan(1e-5);
  expect(worst.states).toBeLessThan(5e-5);
});

test.each(['avx2', cudaDevice] as const)('twenty steps in bf16, %s', async (machine) => {
  const run = { method: methodOf(), machine, ...common, dtype: 'bf16', learningRate: 0.03 } as const;
  expectNearInBf16(await differenceFromEquations(run, equations('frozen')), { ofSteps: 0.16 });
});

describeRefreshedRuns(badam({ blocks: 2, switchInterval: 3, otherParameters: 'trained' }));
