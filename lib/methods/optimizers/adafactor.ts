import * as v from 'valibot';
import {
  adafactorDirection,
  scalar,
  type Attribute,
  type DType,
  type FactoredMoment,
  type Value,
} from '../../graph/index.js';
import { flag, numberAbove, numberFrom, optional, type OptionTable } from '../../options.js';
import { defineOptimizer } from './optimizer.js';
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
}

export const adafactorTable = {
  decayExponent: optional(numberAbove(0), 0.8),
  clipThreshold: optional(numberAbove(0), 1),
  epsilons: optional(
    v.strictTuple([numberFrom(0), numberFrom(0)], 'two numbers from 0'),
    () => [1e-30, 1e-3] as [number, number],
  ),
  scaleByParameter: optional(flag, true),
} satisfies OptionTable<AdafactorSettings>;

/**
 * Adam's second moment as means of rows and columns, without a first one. The paper's relative step size, the least of
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
    const { decayExponent, clipThreshold, epsilons, scaleByParameter } = options;
    const [epsilon, least] = epsilons;

    function directionOf(
      parameter: Value,
      gradient: Value,
      gradientScale: Value | undefined,
      dtype: DType,
    ): Value {
      const step: Attribute = scalar('step');
      return adafactorDirection(gradient, momentOf(parameter, gradient.shape), {
        decayExponent,
        epsilon,
        clipThreshold,
        step,
        parameterScale: scaleByParameter ? { parameter, least } : undefined,
        gradientScale,
        dtype,
      });
    }

    const momentOf = (parameter: Value, shape: readonly number[]): FactoredMoment => {
      const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
      const means = (suffix: string, size: number) =>
        stateInFormat(parameter, suffix, [size], options).values;
      return { rows: means('rowMeans', rows), columns: means('columnMeans', columns) };
    };

    return {
      update(parameter, gradient, { gradientScale }, updateScale) {
        const direction = directionOf(parameter, gradient, gradientScale, gradient.dtype);
        stepAlong(parameter, direction, options, updateScale);
      },
      direction: (gradient, { parameter, gradientScale, dtype }) =>
        directionOf(parameter, gradient, gradientScale, dtype),
    };
  },
});
