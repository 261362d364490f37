import { momentum, type OptimizerState, type Value } from '../../graph/index.js';
import { flag, oneOf, optional, type OptionTable } from '../../options.js';
import { adamw, adamWTable, momentFactor, type AdamWSettings } from './adamw.js';
import { alongDirection } from './along-direction.js';
import { byParameter, isHiddenMatrix } from './by-parameter.js';
import { newtonSchulz } from './newton-schulz.js';
import { defineOptimizer, type DirectionRules } from './optimizer.js';
import { stateInFormat } from './step.js';
import { numbersOf } from '../weights/weights.js';

/** Options of Muon: `betas` and `epsilon` are those of AdamW, which trains what is no hidden matrix. */
export interface MuonSettings extends AdamWSettings {
  /** Factor of the moving average of the gradient. Default 0.95. */
  readonly momentum?: number;
  /** Looks one step ahead (Nesterov). Default true. */
  readonly nesterov?: boolean;
  /**
   * What an orthogonal direction is multiplied by. 'spectral': sqrt(max(1, out/in)), as published; 'rms': 0.2
   * sqrt(max(in, out)), the size of a direction of AdamW, whose learning rates then fit (Liu et al. 2025, arXiv
   * 2502.16982). Default 'spectral'.
   */
  readonly updateSize?: 'spectral' | 'rms';
}

const muonTable = {
  ...adamWTable,
  momentum: optional(momentFactor, 0.95),
  nesterov: optional(flag, true),
  updateSize: optional(oneOf(['spectral', 'rms']), 'spectral'),
} satisfies OptionTable<MuonSettings>;

const sizes = {
  spectral: (rows: number, columns: number) => Math.sqrt(Math.max(1, columns / rows)),
  rms: (rows: number, columns: number) => 0.2 * Math.sqrt(Math.max(rows, columns)),
} as const;

/**
 * Steps along the momentum of hidden matrices, orthogonalised by five Newton-Schulz iterations in the dtype of the
 * weight. Embedding, head, norms and biases are trained by AdamW. In a compressed space `in` of `updateSize` is the rank.
 */
export const muon = defineOptimizer<MuonSettings>()({
  name: 'muon',
  source: 'Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024',
  table: muonTable,
  stepsInt8: true,

  create(options) {
    const { momentum: factor, nesterov, updateSize } = options;
    const averageOf = (parameter: Value, shape: readonly number[]): OptimizerState =>
      stateInFormat(parameter, 'expAvg', shape, options);
    const rules: DirectionRules = {
      direction(gradient, { parameter, gradientScale, dtype }) {
        const [rows, columns] = gradient.shape as [number, number];
        const { values } = averageOf(parameter, gradient.shape);
        const ahead = momentum(gradient, values, {
          factor,
          dampening: factor,
          nesterov,
          gradientScale,
          dtype,
        });
        return newtonSchulz(ahead, { steps: 5, size: sizes[updateSize](rows, columns) });
      },
      firstMoment: averageOf,
    };
    // Products run at the rate of the weight's dtype.
    const matrices = alongDirection(options, rules, (_gradient, parameter) => numbersOf(parameter).dtype);
    const rest = adamw.create(options);
    return byParameter((parameter) => (isHiddenMatrix(parameter) ? matrices : rest));
  },
});
