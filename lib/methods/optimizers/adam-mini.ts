// Adam with one second moment for each block of weights: the mean of the squares of its gradients. Blocks are heads of
// queries and keys, rows of tables and of the head, whole norms, and the weights of one output of all other matrices.
import {
  adamStep,
  channelFactors,
  fill,
  momentum,
  nameOfStates,
  reshape,
  scaleChannels,
  type ChannelAxis,
  type DType,
  type Value,
} from '../../graph/index.js';
import type { OptionTable } from '../../options.js';
import { adamw, adamWTable, type AdamWSettings } from './adamw.js';
import { alongDirection } from './along-direction.js';
import { byParameter, isHiddenMatrix } from './by-parameter.js';
import { defineOptimizer, type DirectionContext } from './optimizer.js';
import { stateInFormat } from './step.js';

/** Options of Adam-mini: those of AdamW. */
export interface AdamMiniSettings extends AdamWSettings {}

/** Keeps blocks without any gradient yet from 0 / 0; far below what gradients are. */
const least = 1e-30;

/** Biases are trained by AdamW, as in the published code. In a compressed space blocks are those of its columns. */
export const adamMini = defineOptimizer<AdamMiniSettings>()({
  name: 'adam-mini',
  source: 'Zhang et al., Adam-mini: Use Fewer Learning Rates To Gain More, ICLR 2025, arXiv 2406.16793',
  table: adamWTable satisfies OptionTable<AdamMiniSettings>,
  stepsInt8: true,

  create(options) {
    const averageOf = (parameter: Value, shape: readonly number[]) =>
      stateInFormat(parameter, 'expAvg', shape, options);

    /**
     * 1 / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) of each block, (blocks). Adam's direction of the blocks' root
     * mean squares is that times their own average, which is taken out again.
     */
    function factorsOf(rms: Value, context: DirectionContext): Value {
      const { parameter, gradientScale, firstMomentStep, stateStep } = context;
      const [beta1, beta2] = options.betas;
      const state = (suffix: string): Value =>
        rms.graph.state(`${nameOfStates(parameter)}.${suffix}`, rms.shape, 'f32', 'optimizerState');
      const moments = { expAvg: { values: state('blockAvg') }, expAvgSq: { values: state('blockAvgSq') } };
      const { direction, expAvg } = adamStep(rms, moments, {
        beta1,
        beta2,
        epsilon: options.epsilon,
        firstMomentStep,
        secondMomentStep: stateStep,
        gradientScale,
      });
      return lengthRatios(direction, expAvg, 'column');
    }

    const blocks = alongDirection(options, {
      direction(gradient, context) {
        const { parameter, gradientScale, dtype } = context;
        const [factor] = options.betas;
        const axis = axisOf(parameter);
        const ofChannels = rootMeanSquares(asMatrix(gradient), axis);
        const headSize = headSizeOf(parameter, gradient);
        const factors =
          headSize === undefined
            ? factorsOf(asMatrix(ofChannels), context)
            : repeated(factorsOf(ofHeads(ofChannels, headSize), context), headSize);
        const average = averageOf(parameter, gradient.shape).values;
        const ahead = momentum(gradient, average, { factor, dampening: factor, gradientScale, dtype });
        return scaleChannels(asMatrix(ahead), factors, axis);
      },
      firstMoment: averageOf,
    });
    const rest = adamw.create(options);
    return byParameter(({ parameter }) => (parameter!.role === 'bias' ? rest : blocks));
  },
});

function axisOf(parameter: Value): ChannelAxis {
  if (parameter.shape.length === 1) return 'all';
  return isHiddenMatrix(parameter) ? 'column' : 'row';
}

/** Columns of a head, where columns are outputs that stand in heads. */
function headSizeOf({ shape, parameter }: Value, gradient: Value): number | undefined {
  return shape.length === 2 && shape[1] === gradient.shape[1] ? parameter!.headSize : undefined;
}

/** A vector as one row. */
const asMatrix = (x: Value): Value => (x.shape.length === 1 ? reshape(x, [1, x.shape[0]!]) : x);

/** Of each channel, f32 (channels). */
const rootMeanSquares = (x: Value, axis: ChannelAxis): Value =>
  lengthRatios(x, ones(x, x.shape, 'bf16'), axis);

/** The root mean squares of heads, (1, heads), from those of their columns, (columns). */
const ofHeads = (ofColumns: Value, headSize: number): Value => {
  const heads = ofColumns.shape[0]! / headSize;
  return asMatrix(rootMeanSquares(reshape(ofColumns, [heads, headSize]), 'row'));
};

/** (heads) to (columns): each for all columns of its head. */
const repeated = (ofBlocks: Value, headSize: number): Value => {
  const heads = ofBlocks.shape[0]!;
  const columns = scaleChannels(ones(ofBlocks, [heads, headSize], 'f32'), ofBlocks, 'row');
  return reshape(columns, [heads * headSize]);
};

/** |a| / |b| of each channel of two matrices, f32 (channels). */
const lengthRatios = (a: Value, b: Value, axis: ChannelAxis): Value =>
  channelFactors(a, b, a, {
    axis,
    previousNorm: fill(a.graph, { name: 'noStepBefore', shape: [1], dtype: 'f32', kind: 'workspace' }, 0),
    epsilon: least,
    growthLimit: 1,
  });

const ones = ({ graph }: Value, shape: readonly number[], dtype: DType): Value =>
  fill(graph, { name: 'ones', shape, dtype, kind: 'workspace' }, 1);
