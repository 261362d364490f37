// What a subspace leaves of a gradient, S = G - Q R, moves the weight as well. It has no moments: its channels are scaled
// as the optimizer scales those of R, and the length of the scaled part grows slowly
// (Fira, Chen et al., 2024, arXiv 2410.01623).
import { cast, channelFactors, nameOfStates, scaleChannels } from '../../graph/index.js';
import { stepAlong } from '../optimizers/step.js';
import { takenBack, type SubspaceStepRule } from './singular-subspace.js';

/** Added to lengths that others are divided by, and how much longer a step may be than the one before: of the paper. */
const [lengthEpsilon, growthLimit] = [1e-8, 1.01];

/** W moves along updateScale Q N + f S; both parts come about where the gradient was. */
export const stepWithResidual: SubspaceStepRule = (
  { weight, gradient, compressed, direction, subspace, gradientScale },
  options,
) => {
  const { basis, side } = subspace;
  const inside = compressed.dtype === basis.dtype ? compressed : cast(compressed, basis.dtype);
  const residual = takenBack(inside, subspace, { alpha: -1, accumulator: gradient });
  const axis = side === 'left' ? 'column' : 'row';
  const factors = channelFactors(residual, compressed, direction, {
    axis,
    previousNorm: weight.graph.state(`${nameOfStates(weight)}.residualNorm`, [1], 'f32', 'optimizerState'),
    epsilon: lengthEpsilon,
    growthLimit,
    gradientScale,
  });
  const scaled = scaleChannels(residual, factors, axis);
  const step = takenBack(direction, subspace, { alpha: options.updateScale, accumulator: scaled });
  stepAlong(weight, step, options);
};
