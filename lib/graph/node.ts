import type { Value } from './value.js';

/** Learning rates of embeddings, output head, and norm weights with biases; `learningRate` where not given. */
export const roleRates = ['embeddingLearningRate', 'headLearningRate', 'normLearningRate'] as const;
/** One of `roleRates`. */
export type RoleRate = (typeof roleRates)[number];

/** Numbers that every training loop knows and gives to each run; a plan has their names, never the numbers. */
export const loopScalars = [
  'learningRate',
  ...roleRates,
  /** Optimizer step, 1 for the first. */
  'step',
  /** 0 on the first micro-batch of a window (overwrite), 1 on the others (add). */
  'accumulate',
  /** Multiplies loss and gradients: 1 / counted tokens of the window for the mean. */
  'lossScale',
  /** Row whose logits a `generate` run of a model for masked tokens returns. */
  'row',
] as const;

/** Name of a number that each run is given: one of `loopScalars`, or one that a method's clock counts. */
export type RuntimeScalar = string;

/** A number that stands in the plan, or the name of one that each run is given. */
export type Attribute = number | { readonly scalar: RuntimeScalar };
/** Attributes of a node by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** The value of a scalar among those that a run is given; undefined when it is missing. */
export const scalarValue = (
  given: Readonly<Partial<Record<RuntimeScalar, number>>>,
  name: RuntimeScalar,
): number | undefined =>
  given[name] ?? ((roleRates as readonly string[]).includes(name) ? given.learningRate : undefined);

/** The attribute that takes its number from the run. */
export const scalar = (name: RuntimeScalar): Attribute => ({ scalar: name });

/** The part of a step that a node belongs to. */
export type Phase = 'forward' | 'backward' | 'update';

/** One call of one op: the unit that becomes one instruction of a plan. */
export interface Node {
  readonly id: number;
  readonly op: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  readonly layer: string;
  readonly phase: Phase;
}
