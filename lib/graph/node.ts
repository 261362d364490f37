import type { Value } from './value.js';

/** Learning rates of embeddings, output head, and norm weights with biases; `learningRate` where not given. */
export const roleRates = ['embeddingLearningRate', 'headLearningRate', 'normLearningRate'] as const;
/** One of `roleRates`. */
export type RoleRate = (typeof roleRates)[number];

/** Numbers that change from run to run are named here, never written into a plan. */
export const runtimeScalars = [
  'learningRate',
  ...roleRates,
  /** Optimizer step, 1 for the first. */
  'step',
  /** Steps that the first moment has accumulated; differs from `step` after a reset. */
  'firstMomentStep',
  'secondMomentStep',
  'projectionEpoch',
  'previousProjectionEpoch',
  /** 0 on the first micro-batch of a window (overwrite), 1 on the others (add). */
  'accumulate',
  /** Multiplies loss and gradients: 1 / counted tokens of the window for the mean. */
  'lossScale',
  /** Row whose logits a `generate` run returns. */
  'row',
] as const;
/** One of `runtimeScalars`. */
export type RuntimeScalar = (typeof runtimeScalars)[number];

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
