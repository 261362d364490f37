// A random projection of each gradient has low-rank moments. The gradient itself makes the step, with its channels
// scaled as the moments scale those of the projection, and the length of the step grows slowly
// (APOLLO, Zhu et al., MLSys 2025, arXiv 2412.05270).
import {
  channelFactors,
  nameOfStates,
  project,
  projectLeft,
  scalar,
  scaleChannels,
  type ChannelAxis,
  type Value,
} from '../../graph/index.js';
import { numberFrom, optional, wholeNumber, type OptionTable } from '../../options.js';
import { matrixRoles, type MatrixRole } from '../matrix-roles.js';
import { ProjectionClock } from '../projection-clock.js';
import { rankWithin, type RankOptions } from '../rank-options.js';
import { adamw, adamWTable, type AdamWSettings } from './adamw.js';
import type { Optimizer } from './optimizer.js';
import { stepAlong, type StepOptions } from './step.js';

/** Options of optimizers that scale channels of the gradient, beside those of AdamW. */
export interface ScaledGradientSettings extends AdamWSettings {
  /** Optimizer steps between new projections. Default 200. */
  readonly refreshInterval?: number;
  /** Multiplies the learning rate of scaled gradients: 1, and for `apollo-mini` the root of 128. */
  readonly updateScale?: number;
}

export const scaledGradientTable = {
  ...adamWTable,
  epsilon: optional(numberFrom(0), 1e-6),
  refreshInterval: optional(wholeNumber(1), 200),
  updateScale: optional(numberFrom(0), 1),
} satisfies OptionTable<ScaledGradientSettings>;

export const source = 'Zhu et al., APOLLO, MLSys 2025, arXiv 2412.05270';
export const fullGradientBecause = 'it scales the channels of the full gradient';

/** Added to lengths that others are divided by, and how much longer a step may be than the one before: of the paper. */
const [lengthEpsilon, growthLimit] = [1e-8, 1.01];

type Side = 'left' | 'right';

/**
 * Matrices of attention and of the MLP are updated along their scaled gradients, other parameters by AdamW.
 * @param axisOf what has a factor of its own, by the side that is projected
 */
export function scaledGradient(
  options: Required<ScaledGradientSettings> & StepOptions,
  { rank, axisOf }: { readonly rank: RankOptions; readonly axisOf: (side: Side) => ChannelAxis },
): Optimizer {
  const adam = adamw.create(options);

  /** R = P^T G or G P, on the smaller side. */
  function compressed(gradient: Value, weight: Value, side: Side): Value {
    const width = Math.min(...weight.shape);
    const projection = {
      seed: options.seed,
      tensorId: weight.parameter!.tensorId,
      rank: rankWithin(width, rank, { name: weight.name, whose: 'the smaller side of the weight' }),
      distribution: 'gaussian',
    } as const;
    const build = side === 'left' ? projectLeft : project;
    return build(gradient, projection, scalar('projectionEpoch'), {
      name: 'compressedGradient',
      kind: 'gradient',
    });
  }

  return {
    update(parameter, gradient, context, updateScale = 1) {
      if (!matrixRoles.includes(parameter.parameter!.role as MatrixRole))
        return adam.update(parameter, gradient, context, updateScale);
      const { gradientScale, stateStep } = context;
      const side = parameter.shape[0]! <= parameter.shape[1]! ? 'left' : 'right';
      const axis = axisOf(side);
      const projected = compressed(gradient, parameter, side);
      const direction = adam.direction!(projected, {
        ...context,
        parameter,
        firstMomentStep: stateStep,
        dtype: projected.dtype,
      });
      const name = `${nameOfStates(parameter)}.stepNorm`;
      const previousNorm = parameter.graph.state(name, [1], 'f32', 'optimizerState');
      const factors = channelFactors(gradient, projected, direction, {
        axis,
        previousNorm,
        epsilon: lengthEpsilon,
        growthLimit,
        gradientScale,
      });
      const step = scaleChannels(gradient, factors, axis);
      stepAlong(parameter, step, options, updateScale * options.updateScale);
    },

    clocks: {
      projection: {
        scalars: ProjectionClock.scalars,
        start: () =>
          new ProjectionClock({
            refreshInterval: options.refreshInterval,
            entries: [],
            resetsFirstMoment: false,
          }),
      },
    },
  };
}
