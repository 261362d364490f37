// CompAct (Shamshoum et al., NAACL 2025, arXiv 2410.15352): a linear layer keeps z = x P instead of its input x. Its
// weight gradient is z^T dy, (rank, out_features); Adam works on that, and P takes its direction back to full size
// inside the weight update. Nothing names x, so nothing keeps it: that is the whole method.
import {
  adamDirection,
  fillPersistent,
  matmul,
  project,
  projectBackUpdate,
  projectTransfer,
  scalar,
  type Graph,
  type Projection,
  type Value,
} from '../graph/index.js';
import { adamWUpdate, learningRateOf, momentsOf, roundsStochastically, weightDecayOf } from './adam.js';
import {
  rankOf,
  resolveCompactOptions,
  type CompactOptions,
  type CompressibleRole,
} from './compact-options.js';
import { denseWeightGradient } from './dense.js';
import type { Method, UpdateContext } from './method.js';

/**
 * Training with compressed activations. Weights that are not compressed are trained as by `dense`.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example compact({ rankRatio: 0.25 })
 */
export function compact(given: CompactOptions = {}): Method {
  const options = resolveCompactOptions(given);
  const { seed, distribution, store, momentsAtRefresh } = options;
  const epoch = scalar('projectionEpoch');

  /** The projection of a weight's input, (in_features, rank); undefined for weights that stay dense. */
  function projectionOf(weight: Value): Projection | undefined {
    const { role, tensorId, inputTensorId = tensorId } = weight.parameter!;
    const isTarget =
      role === 'output'
        ? options.outputProjection === 'lazy'
        : options.targetModules.includes(role as CompressibleRole);
    if (!isTarget) return undefined;
    const id = options.sharing === 'input' ? inputTensorId : tensorId;
    return { seed, tensorId: id, rank: rankOf(weight, role, options), distribution };
  }

  const updateScaleOf = (weight: Value, otherwise: number): number =>
    weight.parameter!.role === 'output' ? options.outputUpdateScale : otherwise;

  return {
    name: 'compact',

    weightGradient(graph, linear, gradientDtype) {
      const { input, outputGradient, weight } = linear;
      const projection = projectionOf(weight);
      if (projection === undefined) return denseWeightGradient(graph, linear, gradientDtype);
      // Weights that share input and projection share z: equal nodes merge.
      const compress = () => project(input, projection, epoch); // (tokens, rank)
      const isStored = store === 'stored' && weight.parameter!.role !== 'output';
      const compressedInput = isStored ? graph.at(input.layer, 'forward', compress) : compress();
      return matmul(compressedInput, outputGradient, {
        transposeA: true,
        dtype: gradientDtype,
        kind: 'gradient',
        name: 'compressedGradient', // (rank, out_features)
      });
    },

    keep: () => (store === 'stored' ? 'keep' : 'recompute-if-cheap'),

    update(_graph, weight, gradient, context) {
      const projection = projectionOf(weight);
      if (projection === undefined) adamWUpdate(weight, gradient, context, options, updateScaleOf(weight, 1));
      else compressedUpdate(weight, gradient, context, projection);
    },

    refresh: {
      everySteps: options.refreshInterval,
      resetsFirstMoment: momentsAtRefresh === 'reset',
      build: momentsAtRefresh === 'keep' ? undefined : moveFirstMoment,
    },

    describe: () => ({ name: 'compact', ...options }),
  };

  function compressedUpdate(
    weight: Value,
    gradient: Value,
    { gradientScale }: UpdateContext,
    projection: Projection,
  ): void {
    const [beta1, beta2] = options.betas;
    const direction = adamDirection(gradient, momentsOf(weight, gradient.shape, options), {
      beta1,
      beta2,
      epsilon: options.epsilon,
      firstMomentStep: scalar('firstMomentStep'),
      secondMomentStep: scalar('secondMomentStep'),
      gradientScale,
      dtype: weight.dtype, // the product with P runs at the rate of the weight's dtype
    });
    projectBackUpdate(weight, direction, projection, {
      epoch,
      learningRate: learningRateOf(weight),
      updateScale: updateScaleOf(weight, options.updateScale),
      weightDecay: weightDecayOf(weight, options),
      stochasticRounding: roundsStochastically(weight, options) ? { seed, step: scalar('step') } : undefined,
    });
  }

  function moveFirstMoment(_graph: Graph, weight: Value): void {
    const projection = projectionOf(weight);
    if (projection === undefined) return;
    const [rows, columns] = weight.shape as [number, number];
    const { expAvg } = momentsOf(weight, [projection.rank, columns], options);
    if (momentsAtRefresh === 'reset') fillPersistent(expAvg, 0);
    else
      projectTransfer(expAvg, projection, {
        rows,
        oldEpoch: scalar('previousProjectionEpoch'),
        newEpoch: epoch,
      });
  }
}
