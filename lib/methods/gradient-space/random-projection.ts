// A linear layer keeps z = x P instead of its input x; its weight gradient is z^T dy, (rank, out_features). An optimizer
// works on that, and P takes its direction back to full size inside the weight update. Nothing names x, so nothing
// keeps it: that is the whole method (CompAct, Shamshoum et al., NAACL 2025, arXiv 2410.15352).
import {
  fillPersistent,
  matmul,
  parameterId,
  project,
  projectBackUpdate,
  projectBackUpdateInt8,
  projectTransfer,
  scalar,
  type ParameterRole,
  type Projection,
  type Value,
} from '../../graph/index.js';
import { compactError } from '../../errors.js';
import type { ClockRules } from '../clock.js';
import type { Optimizer, StepContext } from '../optimizers/optimizer.js';
import { statesOf } from '../optimizers/states-of.js';
import {
  learningRateOf,
  roundsStochastically,
  statesOfRun,
  weightDecayOf,
  type StepOptions,
} from '../optimizers/step.js';
import { int8GroupSize, int8Matrix } from '../weights/int8.js';
import { numbersOf } from '../weights/weights.js';
import { full } from './full.js';
import type { GradientSpace } from './gradient-space.js';
import { ProjectionClock } from '../projection-clock.js';
import { rankOf, type ResolvedProjectionOptions } from './projection-options.js';

const epoch = scalar('projectionEpoch');

/**
 * The space of random projections of each layer's input. Weights that are not projected have full gradients.
 * @param optimizer of the weights that are projected: its states are what a new projection moves or resets
 * @param roleOf what a parameter is projected as, if at all
 */
export function randomProjection(
  options: ResolvedProjectionOptions & StepOptions,
  optimizer: Optimizer,
  roleOf = (parameter: Value): ParameterRole | undefined => parameter.parameter!.role,
): GradientSpace {
  const { seed, distribution, store, momentsAtRefresh, stateFormat } = options;
  if (momentsAtRefresh === 'transfer' && stateFormat === '8bit')
    throw compactError('ERR_COMPACT_CONFIG_VALUE', 'moments of eight bits cannot be transferred', {
      op: 'momentsAtRefresh',
      expected: "'keep', 'reset' or 'restart', with states of eight bits",
      received: 'transfer',
      remedy: "Use stateFormat: 'bf16', or keep the moments.",
    });

  const targets: readonly ParameterRole[] =
    options.outputProjection === 'lazy' ? [...options.targetModules, 'output'] : options.targetModules;

  /** The projection of a weight's input, (in_features, rank); undefined for weights that stay dense. */
  function projectionOf(weight: Value): Projection | undefined {
    const { sharesInputWith } = weight.parameter!;
    const role = roleOf(weight);
    if (role === undefined || !targets.includes(role)) return undefined;
    const isShared = options.sharing === 'input' && sharesInputWith !== undefined;
    const id = isShared ? parameterId(sharesInputWith) : numbersOf(weight).tensorId;
    return { seed, tensorId: id, rank: rankOf(weight, role, options), distribution };
  }

  const updateScaleOf = (weight: Value, otherwise: number): number =>
    roleOf(weight) === 'output' ? options.outputUpdateScale : otherwise;

  return {
    targets,

    weightGradient(graph, linear, gradientDtype) {
      const { input, outputGradient, weight } = linear;
      const projection = projectionOf(weight);
      if (projection === undefined) return full.weightGradient(graph, linear, gradientDtype);
      // Weights that share input and projection share z: equal nodes merge.
      const compress = () => project(input, projection, epoch); // (tokens, rank)
      const isStored = store === 'stored' && roleOf(weight) !== 'output';
      const compressedInput = isStored ? graph.at(input.layer, 'forward', compress) : compress();
      return matmul(compressedInput, outputGradient, {
        transposeA: true,
        dtype: gradientDtype,
        kind: 'gradient',
        name: 'compressedGradient', // (rank, out_features)
      });
    },

    update(weight, gradient, context, optimizerOfWeight) {
      const projection = projectionOf(weight);
      if (projection === undefined)
        optimizerOfWeight.update(weight, gradient, context, updateScaleOf(weight, 1));
      else projectedUpdate(weight, gradient, context, projection);
    },

    clocks: { projection: clock() },
  };

  function projectedUpdate(
    weight: Value,
    gradient: Value,
    context: StepContext,
    projection: Projection,
  ): void {
    const direction = optimizer.direction!(gradient, {
      ...context,
      parameter: weight,
      firstMomentStep: scalar('firstMomentStep'),
      stateStep: momentsAtRefresh === 'restart' ? scalar('firstMomentStep') : context.stateStep,
      dtype: numbersOf(weight).dtype, // the product with P runs at the rate of the weight's dtype
    });
    const stochasticRounding = { seed, step: scalar('step') };
    const step = {
      epoch,
      learningRate: learningRateOf(weight),
      updateScale: updateScaleOf(weight, options.updateScale),
      weightDecay: weightDecayOf(weight, options),
    };
    if (weight.dtype === 'i8')
      projectBackUpdateInt8(int8Matrix(weight), int8GroupSize, direction, projection, {
        ...step,
        stochasticRounding,
      });
    else
      projectBackUpdate(weight, direction, projection, {
        ...step,
        stochasticRounding: roundsStochastically(weight, options) ? stochasticRounding : undefined,
      });
  }

  function clock(): ClockRules {
    const { refreshInterval } = options;
    const isMoved = momentsAtRefresh !== 'keep';
    return {
      scalars: ProjectionClock.scalars,
      entries: isMoved ? { refresh: (_graph, weight) => moveMoments(weight) } : {},
      start: () =>
        new ProjectionClock({
          refreshInterval,
          entries: isMoved ? ['refresh'] : [],
          resetsFirstMoment: momentsAtRefresh === 'reset' || momentsAtRefresh === 'restart',
        }),
    };
  }

  function moveMoments(weight: Value): void {
    const projection = projectionOf(weight);
    if (projection === undefined) return;
    const [rows, columns] = weight.shape as [number, number];
    const compressed = [projection.rank, columns];
    if (momentsAtRefresh === 'restart') return clearStates(weight, compressed, projection);
    const moment = optimizer.firstMoment?.(weight, compressed);
    if (moment === undefined) return;
    if (momentsAtRefresh === 'reset') fillPersistent(moment.scales ?? moment.values, 0);
    else
      projectTransfer(moment.values, projection, {
        rows,
        oldEpoch: scalar('previousProjectionEpoch'),
        newEpoch: epoch,
      });
  }

  function clearStates(weight: Value, compressed: readonly number[], projection: Projection): void {
    const context = { gradientScale: undefined, ...statesOfRun };
    const states = statesOf(weight, (copy) =>
      projectedUpdate(copy, copy.graph.input('gradient', compressed, 'f32'), context, projection),
    );
    for (const { name, shape, dtype, kind } of states)
      fillPersistent(weight.graph.state(name, shape, dtype, kind), 0);
  }
}
