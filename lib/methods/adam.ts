import * as v from 'valibot';
import {
  adamW,
  scalar,
  type AdamMoments,
  type Attribute,
  type ParameterRole,
  type RoleRate,
  type Value,
} from '../graph/index.js';
import { flag, numberFrom, numberWithin, oneOf, optional, seedNumber, type OptionTable } from '../options.js';
import type { UpdateContext } from './method.js';

/** Settings of Adam that all methods share, in PyTorch's words. */
export interface AdamOptions {
  /** Factors of the moving averages of the gradient and of its square. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment. Default 1e-8 (dense), 1e-6 (compact). */
  readonly epsilon?: number;
  /** Decoupled; matrices only: norm weights and biases are never decayed. Default 0. */
  readonly weightDecay?: number;
  /** Of both moments. Default 'f32'. */
  readonly stateDtype?: 'f32' | 'bf16';
  /** Round bf16 weights stochastically, so that small updates are not lost. Default true; f32 weights need none. */
  readonly stochasticRounding?: boolean;
  /** Of everything random that the method does. Default 42. */
  readonly seed?: number;
}

export type ResolvedAdamOptions = Required<AdamOptions>;

const momentFactor = numberWithin(0, 1);

/** Of every method; epsilon has a default of each method's own. */
export const adamTable = {
  betas: optional(
    v.strictTuple([momentFactor, momentFactor], 'two numbers from 0 to below 1'),
    () => [0.9, 0.999] as [number, number],
  ),
  weightDecay: optional(numberFrom(0), 0),
  stateDtype: optional(oneOf(['f32', 'bf16']), 'f32'),
  stochasticRounding: optional(flag, true),
  seed: optional(seedNumber, 42),
} satisfies OptionTable<Omit<AdamOptions, 'epsilon'>>;

export const epsilonOption = (otherwise: number) => optional(numberFrom(0), otherwise);

/** The two moments of a parameter's gradient, which start as zero. */
export function momentsOf(
  parameter: Value,
  shape: readonly number[],
  { stateDtype }: ResolvedAdamOptions,
): AdamMoments {
  const { graph, name } = parameter;
  return {
    expAvg: graph.state(`${name}.expAvg`, shape, stateDtype, 'optimizerState'),
    expAvgSq: graph.state(`${name}.expAvgSq`, shape, stateDtype, 'optimizerState'),
  };
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
export const weightDecayOf = (parameter: Value, { weightDecay }: ResolvedAdamOptions): number =>
  parameter.shape.length > 1 ? weightDecay : 0;

export const roundsStochastically = (parameter: Value, options: ResolvedAdamOptions): boolean =>
  options.stochasticRounding && parameter.dtype === 'bf16';

/** Updates a parameter from its full gradient. */
export function adamWUpdate(
  parameter: Value,
  gradient: Value,
  { gradientScale }: UpdateContext,
  options: ResolvedAdamOptions,
  updateScale = 1,
): void {
  const { betas, epsilon, seed } = options;
  adamW(parameter, gradient, momentsOf(parameter, gradient.shape, options), {
    learningRate: learningRateOf(parameter),
    updateScale,
    beta1: betas[0],
    beta2: betas[1],
    epsilon,
    weightDecay: weightDecayOf(parameter, options),
    step: scalar('step'),
    gradientScale,
    stochasticRounding: roundsStochastically(parameter, options)
      ? { seed, tensorId: parameter.parameter!.tensorId }
      : undefined,
  });
}
