import * as v from 'valibot';
import { adamDirection, adamW, type AdamMoments, type Value } from '../../graph/index.js';
import { numberFrom, numberWithin, optional, type OptionTable } from '../../options.js';
import { defineOptimizer } from './optimizer.js';
import {
  isStepOfRun,
  learningRateOf,
  roundsStochastically,
  stateInFormat,
  stepAlong,
  weightDecayOf,
  type StepOptions,
} from './step.js';

/** Options of AdamW, in PyTorch's words. */
export interface AdamWSettings {
  /** Factors of the moving averages of the gradient and of its square. Default [0.9, 0.999]; [0.908, 0.99] of `ldadam`. */
  readonly betas?: readonly [number, number];
  /**
   * Added to the root of the second moment. Default 1e-8; 1e-6 of `compact`, `galore` and `fira` with adamw, and of `apollo` and
   * `apollo-mini`.
   */
  readonly epsilon?: number;
}

/** How much of a moving average stays at each step. */
export const momentFactor = numberWithin(0, 1);

export const betasRow = (...byDefault: [number, number]) =>
  optional(v.strictTuple([momentFactor, momentFactor], 'two numbers from 0 to below 1'), () => byDefault);

export const adamWTable = {
  betas: betasRow(0.9, 0.999),
  epsilon: optional(numberFrom(0), 1e-8),
} satisfies OptionTable<AdamWSettings>;

/** Adam with decoupled weight decay: two moments of every element. */
export const adamw = defineOptimizer<AdamWSettings>()({
  name: 'adamw',
  source: 'Loshchilov & Hutter, Decoupled Weight Decay Regularization, ICLR 2019',
  table: adamWTable,
  stateFormats: ['f32', 'bf16', '8bit'],
  stepsInt8: true,

  create: (options) => ({
    update(parameter, gradient, context, updateScale = 1) {
      const { betas, epsilon, seed } = options;
      const { gradientScale, stateStep } = context;
      // The op counts by one number what its moments have seen and what it rounds with.
      if (parameter.dtype === 'i8' || !isStepOfRun(stateStep)) {
        const ofStep = { ...context, parameter, firstMomentStep: stateStep, dtype: gradient.dtype };
        stepAlong(parameter, this.direction!(gradient, ofStep), options, updateScale);
        return;
      }
      adamW(parameter, gradient, momentsOf(parameter, gradient.shape, options), {
        learningRate: learningRateOf(parameter),
        updateScale,
        beta1: betas[0],
        beta2: betas[1],
        epsilon,
        weightDecay: weightDecayOf(parameter, options),
        step: stateStep,
        gradientScale,
        stochasticRounding: roundsStochastically(parameter, options)
          ? { seed, tensorId: parameter.parameter!.tensorId }
          : undefined,
      });
    },

    direction(gradient, { parameter, gradientScale, firstMomentStep, stateStep, dtype }) {
      const { betas, epsilon } = options;
      return adamDirection(gradient, momentsOf(parameter, gradient.shape, options), {
        beta1: betas[0],
        beta2: betas[1],
        epsilon,
        firstMomentStep,
        secondMomentStep: stateStep,
        gradientScale,
        dtype,
      });
    },

    firstMoment: (parameter, shape) => momentsOf(parameter, shape, options).expAvg,
  }),
});

/** The two moments of a parameter's gradient. */
const momentsOf = (parameter: Value, shape: readonly number[], options: StepOptions): AdamMoments => ({
  expAvg: stateInFormat(parameter, 'expAvg', shape, options),
  expAvgSq: stateInFormat(parameter, 'expAvgSq', shape, options),
});
