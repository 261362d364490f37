import * as v from 'valibot';
import {
  adafactorDirection,
  momentum,
  type DType,
  type FactoredMoment,
  type OptimizerState,
  type Value,
} from '../../graph/index.js';
import { flag, numberAbove, numberFrom, optional, type OptionTable } from '../../options.js';
import { momentFactor } from './adamw.js';
import { defineOptimizer, type StepContext } from './optimizer.js';
import { stateInFormat, stepAlong } from './step.js';

/** Options of Adafactor, in the words of its paper. */
export interface AdafactorSettings {
  /** The second moment's factor at step t is 1 - t^-decayExponent. Default 0.8. */
  readonly decayExponent?: number;
  /** Largest root mean square of a parameter's direction. Default 1. */
  readonly clipThreshold?: number;
  /** Added to the squares of gradients, and the least root mean square that a parameter counts as. Default [1e-30, 0.001]. */
  readonly epsilons?: readonly [number, number];
  /** Multiplies each parameter's step by its root mean square: learning rates are then relative. Default true. */
  readonly scaleByParameter?: boolean;
  /** Factor of a moving average of directions, which then is a state as large as the gradient. Default 0: none; 0.9 of `flora`. */
  readonly momentum?: number;
}

export const adafactorTable = {
  decayExponent: optional(numberAbove(0), 0.8),
  clipThreshold: optional(numberAbove(0), 1),
  epsilons: optional(
    v.strictTuple([numberFrom(0), numberFrom(0)], 'two numbers from 0'),
    () => [1e-30, 1e-3] as [number, number],
  ),
  scaleByParameter: optional(flag, true),
  momentum: optional(momentFactor, 0),
} satisfies OptionTable<AdafactorSettings>;

/**
 * Adam's second moment as means of rows and columns, without a first one unless `momentum` asks for it. The paper's relative step size, the least of
 * 1e-2 and 1 / sqrt(t), is a schedule of the learning rate and no option here; weight decay is decoupled, as with every
 * optimizer. A vector counts as a matrix of one row, whose column means are the full second moment.
 */
export const adafactor = defineOptimizer<AdafactorSettings>()({
  name: 'adafactor',
  source:
    'Shazeer & Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, ICML 2018, arXiv 1804.04235',
  table: adafactorTable,
  stateFormats: ['f32'],

  create: (options) => {
    const { decayExponent, clipThreshold, epsilons, scaleByParameter, momentum: factor } = options;
    const [epsilon, least] = epsilons;

    function directionOf(
      parameter: Value,
      gradient: Value,
      { gradientScale, stateStep: step }: StepContext,
      dtype: DType,
    ): Value {
      const latest = adafactorDirection(gradient, momentOf(parameter, gradient.shape), {
        decayExponent,
        epsilon,
        clipThreshold,
        step,
        parameterScale: scaleByParameter ? { parameter, least } : undefined,
        gradientScale,
        dtype: factor === 0 ? dtype : gradient.dtype,
      });
      const average = averageOf(parameter, gradient.shape);
      if (average === undefined) return latest;
      return momentum(latest, average.values, { factor, dampening: factor, dtype });
    }

    const averageOf = (parameter: Value, shape: readonly number[]): OptimizerState | undefined =>
      factor === 0 ? undefined : stateInFormat(parameter, 'expAvg', shape, options);

    const momentOf = (parameter: Value, shape: readonly number[]): FactoredMoment => {
      const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
      const means = (suffix: string, size: number) =>
        stateInFormat(parameter, suffix, [size], options).values;
      return { rows: means('rowMeans', rows), columns: means('columnMeans', columns) };
    };

    return {
      update(parameter, gradient, context, updateScale) {
        const direction = directionOf(parameter, gradient, context, gradient.dtype);
        stepAlong(parameter, direction, options, updateScale);
      },
      direction: (gradient, context) => directionOf(context.parameter, gradient, context, context.dtype),
      firstMoment: averageOf,
    };
  },
});
