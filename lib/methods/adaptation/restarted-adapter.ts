// Every so many steps adapters are merged into their weights, W = W + s A B, and begin again: A is drawn anew, B is zero,
// their optimizer states are zero, and the learning rate warms up. Low-rank updates so add up to one of a higher rank
// (ReLoRA, Lialin et al. 2023, arXiv 2307.05695). The paper zeroes 99 % of the states by magnitude; here it is all of them.
import {
  fillPersistent,
  matmul,
  randomNormalPersistent,
  scalar,
  splitSeed,
  type Graph,
  type Value,
} from '../../graph/index.js';
import { optional, wholeNumber, type OptionTable } from '../../options.js';
import type { GradientSpace } from '../gradient-space/gradient-space.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { statesOf } from '../optimizers/states-of.js';
import { statesOfRun, type StepOptions } from '../optimizers/step.js';
import type { Adaptation } from './adaptation.js';
import type { AdapterOptions } from './adapter-options.js';
import { adapterOf, adapterScale, isAdapted, lowRankAdapter } from './low-rank-adapter.js';
import { RestartClock } from './restart-clock.js';

/** When adapters begin again. */
export interface RestartSettings {
  /** Optimizer steps between merges. Default 5000. */
  readonly resetInterval?: number;
  /** Steps after a merge in which the learning rate rises linearly to what it was. Default 100. */
  readonly restartWarmupSteps?: number;
}

export const restartTable = {
  resetInterval: optional(wholeNumber(1), 5000),
  restartWarmupSteps: optional(wholeNumber(0), 100),
} satisfies OptionTable<RestartSettings>;

/**
 * Adapters that restart. Everything but the adapted weights is trained.
 * @param gradientSpace in which gradients of the adapters live
 * @param optimizer of the adapters: its states begin again with them
 */
export function restartedAdapter(
  name: string,
  options: Required<AdapterOptions & RestartSettings> & Pick<StepOptions, 'seed'>,
  gradientSpace: GradientSpace,
  optimizer: Optimizer,
): Adaptation {
  const { resetInterval, restartWarmupSteps, seed } = options;

  function merge(graph: Graph, weight: Value): void {
    if (!isAdapted(weight, options)) return;
    const { a, b } = adapterOf(graph, weight, options);
    matmul(a, b, { alpha: adapterScale(options), accumulator: weight });
  }

  function restart(graph: Graph, weight: Value): void {
    if (!isAdapted(weight, options)) return;
    for (const factor of Object.values(adapterOf(graph, weight, options))) {
      const { initializer, tensorId } = factor.parameter!;
      if (initializer.type === 'constant') fillPersistent(factor, initializer.value);
      else {
        const { standardDeviation } = initializer;
        randomNormalPersistent(factor, {
          seed,
          tensorId,
          standardDeviation,
          drawing: scalar('adapterDrawing'),
        });
      }
      for (const { name: state, shape, dtype, kind } of statesOfFactor(factor, gradientSpace, optimizer))
        fillPersistent(graph.state(state, shape, dtype, kind), 0);
    }
  }

  return {
    ...lowRankAdapter(name, options, () => true),
    needsNumbersBecause: 'it adds to weights, which codes cannot take',
    clocks: {
      restart: {
        scalars: RestartClock.scalars,
        entries: { merge, restart },
        start: () =>
          new RestartClock({
            resetInterval,
            restartWarmupSteps,
            entries: ['merge', 'restart'],
            firstDrawing: splitSeed(seed).seedHigh,
          }),
      },
    },
  };
}

/** The states of a factor: those that its update names. */
const statesOfFactor = (factor: Value, gradientSpace: GradientSpace, optimizer: Optimizer) =>
  statesOf(factor, (weight) => {
    const { graph, shape, dtype } = weight;
    const input = graph.input('x', [1, shape[0]!], dtype);
    const outputGradient = graph.input('dy', [1, shape[1]!], dtype);
    const gradient = gradientSpace.weightGradient(graph, { input, outputGradient, weight }, 'f32');
    gradientSpace.update(weight, gradient, { gradientScale: undefined, ...statesOfRun }, optimizer);
  });
