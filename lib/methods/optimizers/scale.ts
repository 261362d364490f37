import { divideByNorm, momentum, type Value } from '../../graph/index.js';
import { optional, type OptionTable } from '../../options.js';
import { adamw, adamWTable, momentFactor, type AdamWSettings } from './adamw.js';
import { alongDirection } from './along-direction.js';
import { byParameter } from './by-parameter.js';
import { defineOptimizer } from './optimizer.js';
import { stateInFormat } from './step.js';

/** Options of SCALE: `betas` and `epsilon` are those of AdamW, which trains norms and biases. */
export interface ScaleSettings extends AdamWSettings {
  /** Factor of the moving average of the head's gradient. Default 0.9. */
  readonly headMomentum?: number;
}

const scaleTable = {
  ...adamWTable,
  headMomentum: optional(momentFactor, 0.9),
} satisfies OptionTable<ScaleSettings>;

/** Smaller root mean squares count as this. */
const smallest = 1e-8;

/**
 * Steps along the gradient with the weights of each output (columns, of the head rows; of an embedding those of one
 * hidden unit) divided by their root mean square. A head of its own averages its gradients first; no other matrix has a
 * state. Norms and biases are trained by AdamW. A clipping factor cancels out, and is read by the head and AdamW alone.
 *
 * A table that is embedding and head at once is treated as an embedding. The authors' code adds epsilon to the root of
 * AdamW's second moment before its bias correction, here it is added after.
 */
export const scale = defineOptimizer<ScaleSettings>()({
  name: 'scale',
  source:
    'Glentis, Li, Han & Hong, Memory-Efficient LLM Pretraining via Minimalist Optimizer Design, ICML 2026, arXiv 2506.16659',
  table: scaleTable,
  stepsInt8: true,
  isStateless: () => true,

  create(options) {
    const plain = alongDirection(options, {
      direction: (gradient, { dtype }) => ofUnitSize('columns', gradient, dtype),
    });
    const head = alongDirection(options, {
      direction(gradient, { parameter, gradientScale, dtype }) {
        const factor = options.headMomentum;
        const { values } = stateInFormat(parameter, 'expAvg', gradient.shape, options);
        const direction = momentum(gradient, values, { factor, dampening: factor, gradientScale });
        return ofUnitSize('rows', direction, dtype);
      },
      firstMoment: (parameter, shape) => stateInFormat(parameter, 'expAvg', shape, options),
    });
    const rest = adamw.create(options);
    return byParameter(({ shape, parameter }) => {
      if (shape.length === 1) return rest;
      return parameter!.role === 'head' ? head : plain;
    });
  },
});

/** Each column or row over its root mean square, which is its length over the root of its number of elements. */
function ofUnitSize(of: 'columns' | 'rows', gradient: Value, dtype: Value['dtype']): Value {
  const factor = Math.sqrt(gradient.shape[of === 'columns' ? 0 : 1]!);
  return divideByNorm(gradient, { of, epsilon: smallest * factor, factor, dtype });
}
