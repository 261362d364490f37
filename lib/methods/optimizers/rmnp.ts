import { divideByNorm, momentum } from '../../graph/index.js';
import { optional, type OptionTable } from '../../options.js';
import { adamw, adamWTable, momentFactor, type AdamWSettings } from './adamw.js';
import { alongDirection } from './along-direction.js';
import { byParameter, isHiddenMatrix } from './by-parameter.js';
import { defineOptimizer } from './optimizer.js';
import { stateInFormat } from './step.js';

/** Options of RMNP: `betas` and `epsilon` are those of AdamW, which trains what is no hidden matrix. */
export interface RmnpSettings extends AdamWSettings {
  /** Factor of the moving average of the gradient. Default 0.95. */
  readonly momentum?: number;
}

const rmnpTable = {
  ...adamWTable,
  momentum: optional(momentFactor, 0.95),
} satisfies OptionTable<RmnpSettings>;

/**
 * Muon with the length of the weights of one output in the place of Newton-Schulz iterations: the Nesterov momentum of
 * a hidden matrix with each column divided by its l2 norm, times sqrt(max(1, out/in)). Columns are the rows of the
 * paper, whose weights are (out_features, in_features). Embedding, head, norms and biases are trained by AdamW.
 */
export const rmnp = defineOptimizer<RmnpSettings>()({
  name: 'rmnp',
  source:
    'Deng et al., RMNP: Row-Momentum Normalized Preconditioning for Scalable Matrix-Based Optimization, ICML 2026, ' +
    'arXiv 2603.20527',
  table: rmnpTable,
  stepsInt8: true,

  create(options) {
    const matrices = alongDirection(options, {
      direction(gradient, { parameter, gradientScale, dtype }) {
        const [rows, columns] = gradient.shape as [number, number];
        const { values } = stateInFormat(parameter, 'expAvg', gradient.shape, options);
        const { momentum: factor } = options;
        const ahead = momentum(gradient, values, {
          factor,
          dampening: factor,
          nesterov: true,
          gradientScale,
        });
        const size = Math.sqrt(Math.max(1, columns / rows));
        return divideByNorm(ahead, { of: 'columns', epsilon: 1e-12, factor: size, dtype });
      },
      firstMoment: (parameter, shape) => stateInFormat(parameter, 'expAvg', shape, options),
    });
    const rest = adamw.create(options);
    return byParameter((parameter) => (isHiddenMatrix(parameter) ? matrices : rest));
  },
});
