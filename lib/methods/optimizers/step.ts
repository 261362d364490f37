// What every optimizer does alike when it changes a weight: the rate that the parameter learns at, decay, rounding.
import {
  nameOfStates,
  numElements,
  optimizerState,
  scalar,
  stateFormats,
  weightUpdate,
  weightUpdateInt8,
  type Attribute,
  type OptimizerState,
  type ParameterRole,
  type RoleRate,
  type StateFormat,
  type Value,
} from '../../graph/index.js';
import { int8GroupSize, int8Matrix } from '../weights/int8.js';
import { numbersOf } from '../weights/weights.js';
import { flag, numberFrom, oneOf, optional, seedNumber, type OptionTable } from '../../options.js';

/** Settings of a step that all optimizers share. */
export interface StepOptions {
  /** Decoupled; matrices only: norm weights and biases are never decayed. Default 0. */
  readonly weightDecay: number;
  /**
   * How an optimizer's states are held, where it can: numbers, or eight bits each (Dettmers et al., 8-bit Optimizers via
   * Block-wise Quantization, 2022). Default 'f32'.
   */
  readonly stateFormat: StateFormat;
  /** Round bf16 weights stochastically, so that small updates are not lost. Default true; f32 weights need none, int8 ones
   * always are. */
  readonly stochasticRounding: boolean;
  /** Of everything random that a method does. Default 42. */
  readonly seed: number;
}

export const stepTable = {
  weightDecay: optional(numberFrom(0), 0),
  stateFormat: optional(oneOf(stateFormats), 'f32'),
  stochasticRounding: optional(flag, true),
  seed: optional(seedNumber, 42),
} satisfies OptionTable<StepOptions>;

/** Elements that a state needs to be held in eight bits: below, scales and codes would save next to nothing. */
const least8BitElements = 4096;

/** A state of a parameter, which starts as zero; small ones keep f32 where others have eight bits. */
export function stateInFormat(
  parameter: Value,
  suffix: string,
  shape: readonly number[],
  { stateFormat }: Pick<StepOptions, 'stateFormat'>,
): OptimizerState {
  const isSmall = stateFormat === '8bit' && numElements(shape) < least8BitElements;
  const name = `${nameOfStates(parameter)}.${suffix}`;
  return optimizerState(parameter.graph, name, shape, isSmall ? 'f32' : stateFormat);
}

const rateOfRole: Readonly<Partial<Record<ParameterRole, RoleRate>>> = {
  embedding: 'embeddingLearningRate',
  head: 'headLearningRate',
  norm: 'normLearningRate',
  bias: 'normLearningRate',
};

/** The rate that a parameter learns at; a table that is embedding and head at once is an embedding. */
export const learningRateOf = (parameter: Value): Attribute =>
  scalar(rateOfRole[parameter.parameter!.role] ?? 'learningRate');

/** Norm weights and biases have one dimension and are left alone, as is common practice; embeddings are decayed. */
export const weightDecayOf = (parameter: Value, { weightDecay }: StepOptions): number =>
  parameter.shape.length > 1 ? weightDecay : 0;

/** Of parameters whose states last as long as the run. */
export const statesOfRun = { stateStep: scalar('step') } as const;

export const isStepOfRun = (count: Attribute): boolean =>
  typeof count === 'object' && count.scalar === 'step';

export const roundsStochastically = (parameter: Value, options: StepOptions): boolean =>
  options.stochasticRounding && parameter.dtype === 'bf16';

/**
 * Moves a parameter along a direction: the end of every update whose direction is a value of the graph.
 * @param updateScale multiplies the learning rate, but not the decay
 * @param gradientScale the clipping factor, where the direction is the gradient itself
 */
export function stepAlong(
  parameter: Value,
  direction: Value,
  options: StepOptions,
  updateScale = 1,
  gradientScale?: Value,
): void {
  const { tensorId } = numbersOf(parameter);
  const stochasticRounding = { seed: options.seed, tensorId, step: scalar('step') };
  const step = {
    learningRate: learningRateOf(parameter),
    updateScale,
    weightDecay: weightDecayOf(parameter, options),
    gradientScale,
  };
  if (parameter.dtype === 'i8')
    weightUpdateInt8(int8Matrix(parameter), int8GroupSize, direction, { ...step, stochasticRounding });
  else
    weightUpdate(parameter, direction, {
      ...step,
      stochasticRounding: roundsStochastically(parameter, options) ? stochasticRounding : undefined,
    });
}
