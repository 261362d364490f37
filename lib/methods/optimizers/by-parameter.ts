import type { Value } from '../../graph/index.js';
import type { Optimizer } from './optimizer.js';

/** The optimizer that leaves each parameter to the one that is chosen for it. */
export const byParameter = (choose: (parameter: Value) => Optimizer): Optimizer => ({
  update: (parameter, ...rest) => choose(parameter).update(parameter, ...rest),
  direction: (gradient, context) => choose(context.parameter).direction!(gradient, context),
  firstMoment: (parameter, shape) => choose(parameter).firstMoment?.(parameter, shape),
});

/** Whether a parameter is a matrix between embedding and head. */
export const isHiddenMatrix = ({ shape, parameter }: Value): boolean =>
  shape.length > 1 && parameter!.role !== 'embedding' && parameter!.role !== 'head';
