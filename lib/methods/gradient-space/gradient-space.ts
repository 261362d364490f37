import type { DType, Graph, LinearLayer, ParameterRole, Value } from '../../graph/index.js';
import type { ClockRules } from '../clock.js';
import type { Optimizer, StepContext } from '../optimizers/optimizer.js';

/** The space in which weight gradients live, and when it changes. */
export interface GradientSpace {
  /** Roles of the weights whose gradients it takes elsewhere: a model has one of them at least. Absent: none. */
  readonly targets?: readonly ParameterRole[];
  /** The weight gradient of a linear layer there; whatever it names is what the layer keeps. */
  weightGradient(graph: Graph, linear: LinearLayer, gradientDtype: DType): Value;
  /** Updates a parameter from its gradient there, by an optimizer. */
  update(parameter: Value, gradient: Value, context: StepContext, optimizer: Optimizer): void;
  /** Other forms of the step by name, each with its update; a clock says when one is due. Absent: none. */
  readonly variants?: Readonly<Record<string, Pick<GradientSpace, 'update'>>>;
  /** Absent: the space never changes. */
  readonly clocks?: Readonly<Record<string, ClockRules>>;
}
