import * as v from 'valibot';
import type { DType, Graph, LinearLayer, Value } from '../graph/index.js';

/** What happens to a value that backward needs and forward made, when no recompute policy says otherwise. */
export type Keep = 'keep' | 'recompute' | 'recompute-if-cheap';

/**
 * A training method: three rules over the graph, and what happens every so many steps. A method made of existing
 * ops needs no native code. `dense` is the smallest example.
 */
export interface Method {
  readonly name: string;
  /**
   * What the weight gradient of a linear layer is, in `gradientDtype`; whatever it names is what the layer keeps for
   * backward. It is asked for in backward; a node that belongs in forward is built with `graph.at(layer, 'forward')`.
   */
  weightGradient(graph: Graph, linear: LinearLayer, gradientDtype: DType): Value;
  keep(value: Value): Keep;
  /** Adds the nodes that update one parameter from its gradient; states are made with `graph.state`. */
  update(graph: Graph, parameter: Value, gradient: Value, context: UpdateContext): void;
  /** Absent: nothing to refresh. */
  readonly refresh?: {
    readonly everySteps: number;
    /** Adds the nodes of the `refresh` entry for one parameter; most methods need none. */
    build?(graph: Graph, parameter: Value): void;
    /** Whether the step count of the first moment starts again at a refresh. */
    readonly resetsFirstMoment: boolean;
  };
  /** Plain description for reports and checkpoints (JSON values only). */
  describe(): Readonly<Record<string, unknown>>;
}

/** What all updates of a step share. */
export interface UpdateContext {
  /** One fp32: the clipping factor; undefined when there is no clipping. */
  readonly gradientScale: Value | undefined;
}

/** A method is an object of functions, so only its outline can be checked. */
export const methodSchema = v.custom<Method>(
  isMethod,
  "a method, e.g. compact() or dense(); a method by name is for recipes and methodFromDescription({ name: 'compact' })",
);

function isMethod(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { name, weightGradient, keep, update, describe, refresh } = value as Partial<Method>;
  return (
    typeof name === 'string' &&
    [weightGradient, keep, update, describe].every((rule) => typeof rule === 'function') &&
    (refresh === undefined || isRefresh(refresh))
  );
}

function isRefresh(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { everySteps, build, resetsFirstMoment } = value as Partial<NonNullable<Method['refresh']>>;
  return (
    Number.isSafeInteger(everySteps) &&
    everySteps! > 0 &&
    typeof resetsFirstMoment === 'boolean' &&
    (build === undefined || typeof build === 'function')
  );
}
