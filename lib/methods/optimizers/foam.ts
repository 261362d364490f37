// Adam's moments of folded gradients: one of each block of weights of neighbouring outputs, whose gradients are averaged. What
// folding leaves of a gradient, R = G - unfold(fold(G)), stands in for the moments of single weights, and lasts for a step.
import {
  adamDirection,
  fill,
  matmul,
  momentum,
  multiply,
  reshape,
  scaleChannels,
  type OptimizerState,
  type Value,
} from '../../graph/index.js';
import { compactError } from '../../errors.js';
import { optional, wholeNumber, type OptionTable } from '../../options.js';
import { adamw, adamWTable, type AdamWSettings } from './adamw.js';
import { alongDirection } from './along-direction.js';
import { byParameter, isHiddenMatrix } from './by-parameter.js';
import { defineOptimizer } from './optimizer.js';
import { stateInFormat } from './step.js';

/** Options of FOAM: those of AdamW, and how much is folded. */
export interface FoamSettings extends AdamWSettings {
  /** Blocks are of 2^foldLevel weights, which divides the outputs of every layer. Default 3. */
  readonly foldLevel?: number;
}

const foamTable = {
  ...adamWTable,
  foldLevel: optional(wholeNumber(1, 16), 3),
} satisfies OptionTable<FoamSettings>;

/** By which two halves of a moment that begins with the step add up to their sum. */
const half = { beta1: 0.5, beta2: 0.5, firstMomentStep: 1, secondMomentStep: 1 } as const;

/** Hidden matrices are folded; embedding, head, norms and biases are trained by AdamW. Folded moments have no bias corrections. */
export const foam = defineOptimizer<FoamSettings>()({
  name: 'foam',
  source: 'Wen et al., FOAM: Blocked State Folding for Memory-Efficient LLM Training, 2025, arXiv 2512.07112',
  table: foamTable,
  stepsInt8: true,

  create(options) {
    const { foldLevel, betas, epsilon } = options;
    const width = 2 ** foldLevel;

    /** The shape of a moment: a row of blocks for each row of the gradient. */
    function foldedShape(parameter: Value, [rows, columns]: readonly number[]): readonly [number, number] {
      if (columns! % width === 0) return [rows!, columns! / width];
      throw compactError('ERR_COMPACT_CONFIG_VALUE', `foam cannot fold ${parameter.name}`, {
        op: 'foldLevel',
        expected: `outputs in blocks of ${width}`,
        received: `${columns} outputs`,
        remedy: 'Lower foldLevel',
      });
    }

    const momentOf = (parameter: Value, suffix: string, shape: readonly number[]): OptimizerState =>
      stateInFormat(parameter, suffix, foldedShape(parameter, shape), options);

    const folding = alongDirection(options, {
      direction(gradient, { parameter, gradientScale, dtype }) {
        const { shape } = gradient;
        const whole = gradientScale === undefined ? gradient : scaleChannels(gradient, gradientScale, 'all');
        const [rows, blocksOfRow] = foldedShape(parameter, shape);
        const inBlocks = reshape(whole, [rows * blocksOfRow, width]);
        const folded = foldedOf(inBlocks);
        const average = (suffix: string, of: Value, factor: number): Value =>
          unfolded(
            momentum(of, momentOf(parameter, suffix, shape).values, { factor, dampening: factor }),
            width,
          );
        const residual = minusUnfolded(inBlocks, folded);
        const moments = {
          expAvg: { values: average('expAvg', folded, betas[0]) },
          expAvgSq: { values: average('expAvgSq', multiply(folded, folded), betas[1]) },
        };
        // (m + R) / (sqrt(v + R^2) + epsilon) of unfolded m and v.
        const direction = adamDirection(residual, moments, { ...half, epsilon, dtype });
        return reshape(direction, shape);
      },
      firstMoment: (parameter, shape) => momentOf(parameter, 'expAvg', shape),
    });
    const rest = adamw.create(options);
    return byParameter((parameter) => (isHiddenMatrix(parameter) ? folding : rest));
  },
});

const onesOf = ({ graph, dtype }: Value, shape: readonly number[]): Value =>
  fill(graph, { name: 'ones', shape, dtype, kind: 'workspace' }, 1);

/** Means of the rows of (blocks, width): (blocks, 1), f32. */
function foldedOf(inBlocks: Value): Value {
  const width = inBlocks.shape[1]!;
  const ones = onesOf(inBlocks, [width, 1]);
  return matmul(inBlocks, ones, { alpha: 1 / width, dtype: 'f32', kind: 'gradient', name: 'folded' });
}

/** Each of (blocks, 1) for all of its block: (blocks, width). */
const unfolded = (folded: Value, width: number): Value =>
  matmul(folded, onesOf(folded, [1, width]), { kind: 'workspace', name: 'unfolded' });

/** The same taken away from what was folded, in its memory. */
const minusUnfolded = (inBlocks: Value, folded: Value): Value =>
  matmul(folded, onesOf(folded, [1, inBlocks.shape[1]!]), { alpha: -1, accumulator: inBlocks });
