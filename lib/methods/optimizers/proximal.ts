// A penalty on how far a parameter has moved since its states began: the gradient of f(W + B) + penalty / 2 |B|^2 is that of f
// and penalty B, where B is what steps have added up to.
import { add, cast, scale, scaleChannels, weightUpdate } from '../../graph/index.js';
import type { Optimizer } from './optimizer.js';
import { learningRateOf, stateInFormat } from './step.js';

/**
 * The optimizer with that penalty, for spaces in which a step is the learning rate times its direction. It keeps B, a state as
 * large as the gradient. Clipping is of the gradient of f.
 * @param penalty 0: the optimizer as it is
 */
export function proximal(optimizer: Optimizer, penalty: number): Optimizer {
  if (penalty === 0) return optimizer;
  return {
    ...optimizer,
    direction(gradient, { gradientScale, ...context }) {
      const { parameter } = context;
      const moved = stateInFormat(parameter, 'moved', gradient.shape, { stateFormat: 'f32' }).values;
      const clipped = gradientScale === undefined ? gradient : scaleChannels(gradient, gradientScale, 'all');
      const pull = scale(moved, penalty);
      const pulled = add(clipped, pull.dtype === clipped.dtype ? pull : cast(pull, clipped.dtype));
      const direction = optimizer.direction!(pulled, { ...context, gradientScale: undefined });
      weightUpdate(moved, direction, { learningRate: learningRateOf(parameter) });
      return direction;
    },
  };
}
