import { momentum, scalar, sgd as descend, type OptimizerState, type Value } from '../../graph/index.js';
import { flag, optional, type OptionTable } from '../../options.js';
import { momentFactor } from './adamw.js';
import { defineOptimizer } from './optimizer.js';
import { learningRateOf, roundsStochastically, stateInFormat, weightDecayOf } from './step.js';

/** Options of SGD, in PyTorch's words. */
export interface SgdSettings {
  /** Factor of the sum of gradients. Default 0: plain gradient descent, without a state. */
  readonly momentum?: number;
  /** Looks one step ahead, where there is momentum. Default false. */
  readonly nesterov?: boolean;
}

const sgdTable = {
  momentum: optional(momentFactor, 0),
  nesterov: optional(flag, false),
} satisfies OptionTable<SgdSettings>;

/** Gradient descent, with momentum where asked for. Decay is decoupled; in PyTorch it is a part of the gradient. */
export const sgd = defineOptimizer<SgdSettings>()({
  name: 'sgd',
  source: 'Sutskever et al., On the importance of initialization and momentum in deep learning, ICML 2013',
  table: sgdTable,
  isStateless: ({ momentum: factor }) => factor === 0,

  create(options) {
    const { momentum: factor, nesterov, seed } = options;
    const bufferOf = (parameter: Value, shape: readonly number[]): OptimizerState | undefined =>
      factor === 0 ? undefined : stateInFormat(parameter, 'momentum', shape, options);
    return {
      update(parameter, gradient, { gradientScale }, updateScale) {
        const buffer = bufferOf(parameter, gradient.shape)?.values;
        const { tensorId } = parameter.parameter!;
        descend(parameter, gradient, {
          learningRate: learningRateOf(parameter),
          updateScale,
          momentum: buffer && { buffer, factor },
          nesterov,
          weightDecay: weightDecayOf(parameter, options),
          gradientScale,
          stochasticRounding: roundsStochastically(parameter, options)
            ? { seed, tensorId, step: scalar('step') }
            : undefined,
        });
      },

      direction(gradient, { parameter, gradientScale, dtype }) {
        const buffer = bufferOf(parameter, gradient.shape)?.values;
        return momentum(gradient, buffer, { factor, nesterov, gradientScale, dtype });
      },

      firstMoment: bufferOf,
    };
  },
});
