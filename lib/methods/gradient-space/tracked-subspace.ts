// A gradient G (n, m) is taken to a subspace of its smaller side that moves at every step: one block power iteration of momentum
// and gradient, from the subspace before. Adam's moments move with it, as means and variances of what is projected would, and
// what projections leave of gradients and of the momentum is added to the next gradient (LDAdam, Robert et al., ICLR 2025,
// arXiv 2410.16103, algorithm 1). With n <= m, P (n, r), else for transposes.
import {
  adamDirection,
  add,
  cast,
  divideByNorm,
  multiply,
  nameOfStates,
  orthonormalize,
  reshape,
  scalar,
  scale,
  scaleChannels,
  weightUpdate,
  type AdamMoments,
  type DType,
  type Value,
} from '../../graph/index.js';
import type { MatrixRole } from '../matrix-roles.js';
import type { AdamWSettings } from '../optimizers/adamw.js';
import type { StepContext } from '../optimizers/optimizer.js';
import { stateInFormat, stepAlong, type StepOptions } from '../optimizers/step.js';
import type { RankOptions } from '../rank-options.js';
import { numbersOf } from '../weights/weights.js';
import { full } from './full.js';
import type { GradientSpace } from './gradient-space.js';
import { MomentClock } from './moment-clock.js';
import {
  gradientProduct,
  leadingVectors,
  subspaceOfWeight,
  takenBack,
  takenInside,
  type Subspace,
} from './singular-subspace.js';

/** How subspaces move, and what becomes of what they leave. */
export interface TrackedSubspaceOptions extends RankOptions {
  /** Share of the momentum in what subspaces follow: the paper's rho. The rest is the gradient. Default 0.908. */
  readonly rho?: number;
  /**
   * Whether what is left of gradients and momentum is added to the next gradient. It is kept in full size, in the dtype of the
   * weight. Default true.
   */
  readonly errorFeedback?: boolean;
  /** Roles of weights with a subspace. Default: all of attention and of the MLP. */
  readonly targetModules?: readonly MatrixRole[];
}

type Options = Required<Omit<TrackedSubspaceOptions, 'rank' | 'rankRatio'>> &
  RankOptions &
  Required<AdamWSettings> &
  StepOptions;

/** Subspaces that move at every step, with the moments of Adam in them. Weights without one have full gradients and states. */
export function trackedSubspace(options: Options): GradientSpace {
  const { betas, rho, errorFeedback, seed } = options;

  return {
    targets: options.targetModules,
    weightGradient: full.weightGradient,
    update: updateRule(moved),
    variants: { start: { update: updateRule(begun) } },
    clocks: {
      moments: { scalars: MomentClock.scalars, start: () => new MomentClock(betas, 'start') },
    },
  };

  function updateRule(subspaceFor: typeof moved): GradientSpace['update'] {
    return (weight, gradient, context, optimizer) => {
      if (options.targetModules.includes(weight.parameter!.role as MatrixRole))
        subspaceUpdate(weight, gradient, context, subspaceFor);
      else optimizer.update(weight, gradient, context);
    };
  }

  function subspaceUpdate(
    weight: Value,
    gradient: Value,
    context: StepContext,
    subspaceFor: typeof moved,
  ): void {
    const { dtype } = numbersOf(weight);
    const before = subspaceOfWeight(weight, options);
    const { side } = before;
    const whole = withError(weight, gradient, context);
    const operand = inDtype(whole, dtype);
    const { basis, moved: from } = subspaceFor(weight, operand, before);
    const now = { basis, side };
    const compressed = takenInside(operand, now, { dtype: 'f32', name: 'compressedGradient' });
    if (errorFeedback) keepError(whole, compressed, now, from);
    const direction = adamDirection(compressed, momentsAfter(weight, compressed, from), {
      beta1: betas[0],
      beta2: betas[1],
      epsilon: options.epsilon,
      firstMomentStep: context.stateStep,
      secondMomentStep: context.stateStep,
      dtype,
    });
    stepAlong(weight, takenBack(direction, now, { name: 'direction' }), options);
    assign(before.basis, basis);
  }

  /** A = G + E, after clipping; E is the memory of the error where there is one. */
  function withError(weight: Value, gradient: Value, { gradientScale }: StepContext): Value {
    if (!errorFeedback)
      return gradientScale === undefined ? gradient : scaleChannels(gradient, gradientScale, 'all');
    const { graph, shape } = weight;
    const name = `${nameOfStates(weight)}.error`;
    const error = graph.state(name, shape, numbersOf(weight).dtype, 'optimizerState');
    return weightUpdate(error, gradient, { learningRate: -1, gradientScale });
  }

  /** E = A - P R, and of the momentum m beta1 / (1 - beta1) (P_before m - P m~), in the memory of A. */
  function keepError(whole: Value, compressed: Value, now: Basis, from: MovedMoments | undefined): void {
    const factor = betas[0] / (1 - betas[0]);
    const { dtype } = now.basis;
    const inside = from === undefined ? compressed : add(compressed, scale(from.movedExpAvg, factor));
    const outside = takenBack(inDtype(inside, dtype), now, { alpha: -1, accumulator: whole });
    if (from !== undefined)
      takenBack(inDtype(from.expAvg, dtype), from.before, { alpha: factor, accumulator: outside });
  }

  /** The first subspace: the leading singular vectors of the gradient, and no moments yet. */
  function begun(weight: Value, operand: Value, before: Subspace): ForStep {
    const vectors = leadingVectors(operand, before, weight, seed);
    return { basis: orthonormalize(vectors, before.basis.dtype), moved: undefined };
  }

  /** One power iteration of B = rho P_before m^ + (1 - rho) A: P is an orthonormal basis of B B^T P_before. */
  function moved(weight: Value, operand: Value, before: Subspace): ForStep {
    const { side, basis: old } = before;
    const inside = takenInside(operand, before, { dtype: 'f32', name: 'compressedGradient' });
    const { expAvg, expAvgSq } = momentsOf(weight, inside);
    const corrected = scale(expAvg, scalar('momentCorrection'));
    const followed = add(scale(corrected, rho), scale(inside, 1 - rho)); // P_before^T B
    const ofGradient = throughInside(operand, followed, side);
    const within = throughInside(corrected, followed, side);
    const vectors = gradientProduct(old, inDtype(scale(within, rho), old.dtype), {
      accumulator: scale(ofGradient, 1 - rho),
    });
    const basis = orthonormalize(vectors, old.dtype);
    const turn = gradientProduct(basis, old, { transposeA: true, dtype: 'f32', name: 'changeOfBasis' });
    return { basis, moved: movedMoments(expAvg, expAvgSq, turn, before) };
  }
}

/**
 * Moments in the new subspace, with Q = P^T P_before: m~ = Q m, and as variances of what does not depend on each other
 * v~ = |(Q Q)(v - c m^2) + c (Q m)^2|, squares element by element, where c takes the bias corrections of the one to the other.
 */
function movedMoments(expAvg: Value, expAvgSq: Value, turn: Value, before: Subspace): MovedMoments {
  const { side } = before;
  const share = scalar('varianceShare');
  const movedExpAvg = turned(expAvg, turn, side);
  const variance = add(expAvgSq, scale(scale(multiply(expAvg, expAvg), share), -1));
  const turnedVariance = turned(variance, multiply(turn, turn), side);
  const square = scale(multiply(movedExpAvg, movedExpAvg), share);
  return { before, expAvg, movedExpAvg, movedExpAvgSq: magnitudes(add(turnedVariance, square)) };
}

/** The moments that Adam updates: as the step before left them, or where they have moved to. */
function momentsAfter(weight: Value, compressed: Value, from: MovedMoments | undefined): AdamMoments {
  const { expAvg, expAvgSq } = momentsOf(weight, compressed);
  if (from === undefined) return { expAvg: { values: expAvg }, expAvgSq: { values: expAvgSq } };
  return {
    expAvg: { values: assign(expAvg, from.movedExpAvg) },
    expAvgSq: { values: assign(expAvgSq, from.movedExpAvgSq) },
  };
}

type Basis = Pick<Subspace, 'basis' | 'side'>;

interface ForStep {
  /** Of the step, not yet a state. */
  readonly basis: Value;
  /** Absent where there are no moments yet. */
  readonly moved: MovedMoments | undefined;
}

interface MovedMoments {
  readonly before: Subspace;
  /** As the step before left it. */
  readonly expAvg: Value;
  readonly movedExpAvg: Value;
  readonly movedExpAvgSq: Value;
}

const momentsOf = (weight: Value, { shape }: Value) => ({
  expAvg: stateInFormat(weight, 'expAvg', shape, { stateFormat: 'f32' }).values,
  expAvgSq: stateInFormat(weight, 'expAvgSq', shape, { stateFormat: 'f32' }).values,
});

/** State = state (1 - 1) + value, in place, after all that reads the state as it was; what reads it from now on names the result. */
const assign = (state: Value, value: Value): Value =>
  weightUpdate(state, value, { learningRate: 1, weightDecay: 1, updateScale: -1 });

const inDtype = (x: Value, dtype: DType): Value => (x.dtype === dtype ? x : cast(x, dtype));

/** X Y^T, or X^T Y, f32: over the larger side, which both have. */
const throughInside = (x: Value, y: Value, side: 'left' | 'right'): Value => {
  const transposition = side === 'left' ? { transposeB: true } : { transposeA: true };
  return gradientProduct(x, inDtype(y, x.dtype), { ...transposition, dtype: 'f32' });
};

/** Q X, or X Q^T. */
const turned = (x: Value, turn: Value, side: 'left' | 'right'): Value =>
  side === 'left' ? gradientProduct(turn, x, {}) : gradientProduct(x, turn, { transposeB: true });

/** |x| of each element: x times what x over its own length is. */
function magnitudes(x: Value): Value {
  const elements = x.shape.reduce((product, size) => product * size, 1);
  const signs = divideByNorm(reshape(x, [elements, 1]), { of: 'rows', epsilon: 1e-30 });
  return multiply(x, reshape(signs, x.shape));
}
