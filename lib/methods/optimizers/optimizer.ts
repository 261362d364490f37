import type { Attribute, DType, OptimizerState, StateFormat, Value } from '../../graph/index.js';
import type { OptionTable } from '../../options.js';
import type { ClockRules } from '../clock.js';
import type { UpdateContext } from '../method.js';
import type { StepOptions } from './step.js';

/** How a gradient becomes a step. */
export interface Optimizer {
  /**
   * Adds the update of a parameter from its full gradient.
   * @param updateScale multiplies the learning rate, but not the decay
   */
  update(parameter: Value, gradient: Value, context: StepContext, updateScale?: number): void;
  /** The direction of a step in a space that gradients are taken to, shaped as the gradient there. Absent: it needs full ones. */
  direction?(gradient: Value, context: DirectionContext): Value;
  /**
   * The state that averages gradients of a shape, which a change of the space can carry over or reset. Absent, or
   * undefined for a parameter: none.
   */
  firstMoment?(parameter: Value, shape: readonly number[]): OptimizerState | undefined;
  /** What it counts from step to step. Absent: nothing but steps. */
  readonly clocks?: Readonly<Record<string, ClockRules>>;
}

/** What an optimizer says of a step where its direction is all that there is to say. */
export type DirectionRules = Required<Pick<Optimizer, 'direction'>> & Pick<Optimizer, 'firstMoment'>;

/** What a step of a parameter depends on beside its gradient. */
export interface StepContext extends UpdateContext {
  /** Steps that its states have seen, this one included: all steps, unless something lets states begin anew. */
  readonly stateStep: Attribute;
}

/** What a direction depends on beside its gradient. */
export interface DirectionContext extends StepContext {
  /** Whose gradient it is; states are named after it. */
  readonly parameter: Value;
  /** Steps that the first moment has seen, this one included, which may begin anew without the other states. */
  readonly firstMomentStep: Attribute;
  /** Of the direction. */
  readonly dtype: DType;
}

/** An optimizer as methods offer it: by name, with the words and defaults of its paper. */
export interface OptimizerDefinition<Options = object, Name extends string = string> {
  readonly name: Name;
  /** Where it was published. */
  readonly source: string;
  readonly table: OptionTable<Options>;
  /** Why it has no direction of compressed gradients; absent where it has one. */
  readonly fullGradientBecause?: string;
  /** What its states can be held in, the default first. Absent: f32 or bf16. */
  readonly stateFormats?: readonly [StateFormat, ...StateFormat[]];
  /** Whether its steps can round to weights in int8 (`stepAlong`). Default false. */
  readonly stepsInt8?: boolean;
  /** Whether it keeps nothing of hidden matrices, so that their gradients may change their space at every step. Default false. */
  isStateless?(options: Required<Options>): boolean;
  create(options: Required<Options> & StepOptions): Optimizer;
}

/** The definition, with its name known to the type system. */
export const defineOptimizer =
  <Options>() =>
  <const Name extends string>(definition: OptimizerDefinition<Options, Name>) =>
    definition;
