import type { DType, Value } from '../../graph/index.js';
import type { DirectionRules, Optimizer } from './optimizer.js';
import { stepAlong, type StepOptions } from './step.js';

/**
 * The optimizer that takes a step along its direction.
 * @param dtypeOf of the direction; that of the gradient can take its memory
 */
export function alongDirection(
  options: StepOptions,
  rules: DirectionRules,
  dtypeOf = (gradient: Value, _parameter: Value): DType => gradient.dtype,
): Optimizer & DirectionRules {
  return {
    ...rules,
    update(parameter, gradient, context, updateScale) {
      const direction = rules.direction(gradient, {
        ...context,
        parameter,
        firstMomentStep: context.stateStep,
        dtype: dtypeOf(gradient, parameter),
      });
      stepAlong(parameter, direction, options, updateScale);
    },
  };
}
