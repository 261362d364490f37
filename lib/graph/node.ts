import type { Value } from './value.js';

/** Numbers that change from run to run are named here, never written into a plan. */
export const runtimeScalars = [
  'learningRate',
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
export type RuntimeScalar = (typeof runtimeScalars)[number];

export type Attribute = number | { readonly scalar: RuntimeScalar };
export type Attributes = Readonly<Record<string, Attribute>>;

export const scalar = (name: RuntimeScalar): Attribute => ({ scalar: name });

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
