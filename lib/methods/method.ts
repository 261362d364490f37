import * as v from 'valibot';
import { recordOf } from '../options.js';
import type { DType, GradientContext, Graph, LinearLayer, Program, Value } from '../graph/index.js';
import type { ClockRules } from './clock.js';
import type { Saving } from './saving/saving.js';

/** What one optimizer step is made of: which parameters it trains, what their gradients are, what it does with them. */
export interface StepRules {
  /** False: no gradient, no state, no update. Absent: every parameter is trained. */
  isTrained?(parameter: Value): boolean;
  /**
   * What the weight gradient of a linear layer is, in `gradientDtype`; whatever it names is what the layer keeps for
   * backward. It is asked for in backward; a node that belongs in forward is built with `graph.at(layer, 'forward')`.
   */
  weightGradient(graph: Graph, linear: LinearLayer, gradientDtype: DType): Value;
  /**
   * Gradients of the inputs of a node in the place of those of its op's own rule, as that gives them; whatever it names is
   * kept for backward. Undefined for a node, or absent: the op's own.
   */
  gradient?(context: GradientContext): readonly (Value | undefined)[] | undefined;
  /**
   * Of how many rows the gradient of a parameter is made and used up at a time: `update` is called for rows of the
   * parameter, each a parameter of its own with states of its own. Absent, or undefined for a parameter: all at once.
   */
  gradientRows?(parameter: Value): number | undefined;
  /** Adds the nodes that update one parameter from its gradient; states are made with `graph.state`. */
  update(graph: Graph, parameter: Value, gradient: Value, context: UpdateContext): void;
}

/**
 * A training method: rewrites over the graph of a model. A method made of existing ops needs no native code; most are
 * put together from one choice on each axis (`composeMethod`).
 */
export interface Method extends StepRules {
  readonly name: string;
  /** Rewrites what models build, in training, evaluation and generation alike. Absent: nothing is rewritten. */
  rewriteForward?(forward: Program): Program;
  /**
   * Adds the nodes that make something of one parameter, and of what stands beside it, once the weights are there that a
   * run starts from; none for most parameters. Absent: nothing is made.
   */
  prepare?(graph: Graph, parameter: Value): void;
  /** How what forward makes and backward reads is held in between. */
  readonly saving: Saving;
  /**
   * Each gradient is used up as soon as backward has made it. Accumulation, clipping by the norm of all gradients and
   * updates at the end are refused.
   */
  readonly updatesInBackward?: true;
  /** Other forms of a step by name, each with the rules that differ; a clock says when one is due. */
  readonly variants?: Readonly<Record<string, Partial<StepRules>>>;
  /** What the method counts from step to step, by the name under which checkpoints hold it. */
  readonly clocks?: Readonly<Record<string, ClockRules>>;
  /** The same method under the conditions of its paper's memory tables. Absent: it is the same there. */
  published?(): Method;
  /** Plain description for reports and checkpoints (JSON values only). */
  describe(): Readonly<Record<string, unknown>>;
}

/** The forms of a method's step by the name of the variant, the plain one first, under the empty name. */
export function formsOf(method: Method): ReadonlyMap<string, Method> {
  const variants = Object.entries(method.variants ?? {});
  return new Map([
    ['', method],
    ...variants.map(([name, rules]) => [name, { ...method, ...rules }] as const),
  ]);
}

/** What all updates of a step share. */
export interface UpdateContext {
  /** One fp32: the clipping factor; undefined when there is no clipping. */
  readonly gradientScale: Value | undefined;
}

const rule = v.function();
const stepRules = {
  isTrained: v.optional(rule),
  weightGradient: rule,
  gradient: v.optional(rule),
  gradientRows: v.optional(rule),
  update: rule,
};
const clockRules = v.strictObject({
  scalars: v.array(v.string()),
  entries: v.optional(recordOf(rule, 'rules by name')),
  start: rule,
});
/** A method is an object of functions, so only its outline can be checked; a rule by a name that nobody reads would be missed. */
const outline = v.strictObject({
  name: v.string(),
  ...stepRules,
  rewriteForward: v.optional(rule),
  prepare: v.optional(rule),
  saving: v.strictObject({ recompute: v.picklist(['none', 'cheap']), codec: v.optional(rule) }),
  updatesInBackward: v.optional(v.literal(true)),
  variants: v.optional(recordOf(v.partial(v.strictObject(stepRules)), 'rules of variants by name')),
  clocks: v.optional(recordOf(clockRules, 'clocks by name')),
  published: v.optional(rule),
  describe: rule,
});

export const methodSchema = v.custom<Method>(
  (value) => v.is(outline, value),
  "a method, e.g. compact() or dense(); a method by name is for recipes and methodFromDescription({ name: 'compact' })",
);
