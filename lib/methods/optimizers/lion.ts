import { lionDirection } from '../../graph/index.js';
import type { OptionTable } from '../../options.js';
import { alongDirection } from './along-direction.js';
import { betasRow } from './adamw.js';
import { defineOptimizer } from './optimizer.js';
import { stateInFormat } from './step.js';

/** Options of Lion. */
export interface LionSettings {
  /** Factors of the average whose sign is the direction, and of the one that is kept. Default [0.9, 0.99]. */
  readonly betas?: readonly [number, number];
}

const lionTable = { betas: betasRow(0.9, 0.99) } satisfies OptionTable<LionSettings>;

/** Steps along the sign of an average of gradients, with one state of every element. */
export const lion = defineOptimizer<LionSettings>()({
  name: 'lion',
  source: 'Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, arXiv 2302.06675',
  table: lionTable,
  stepsInt8: true,

  create: (options) =>
    alongDirection(options, {
      direction(gradient, { parameter, gradientScale, dtype }) {
        const [beta1, beta2] = options.betas;
        const { values } = stateInFormat(parameter, 'expAvg', gradient.shape, options);
        return lionDirection(gradient, values, { beta1, beta2, gradientScale, dtype });
      },
      firstMoment: (parameter, shape) => stateInFormat(parameter, 'expAvg', shape, options),
    }),
});
