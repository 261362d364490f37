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

/** Smaller root mean squares of a column count as this. */
const smallest = 1e-8;

/**
 * Steps along the gradient with each column, the weights of one output (of an embedding those of one hidden unit),
 * divided by its root mean square. A head of its own averages its gradients first; no other matrix has a state. Norms
 * and biases are trained by AdamW. A clipping factor cancels out, and is read by the head and AdamW alone.
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
      direction: (gradient, { dtype }) => columnsOfUnitSize(gradient, dtype),
    });
    const head = alongDirection(options, {
      direction(gradient, { parameter, gradientScale, dtype }) {
        const factor = options.headMomentum;
        const { values } = stateInFormat(parameter, 'expAvg', gradient.shape, options);
        const direction = momentum(gradient, values, { factor, dampening: factor, gradientScale });
        return columnsOfUnitSize(direction, dtype);
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

/** Each column over its root mean square, which is its length over the root of the number of rows. */
function columnsOfUnitSize(gradient: Value, dtype: Value['dtype']): Value {
  const factor = Math.sqrt(gradient.shape[0]!);
  return divideByNorm(gradient, { of: 'columns', epsilon: smallest * factor, factor, dtype });
}
