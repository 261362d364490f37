// A gradient G is taken to the leading singular subspace Q of an earlier one, on the smaller side of the weight:
// R = Q^T G, or G Q. An optimizer works on R, and Q takes its direction back to full size. Q, orthonormal, is a state of
// the weight; every so many steps, the first included, the step begins with a new one of the gradient at hand
// (GaLore, Zhao et al., ICML 2024, arXiv 2403.03507).
import {
  cast,
  matmul,
  nameOfStates,
  orthonormalize,
  orthonormalizePersistent,
  project,
  scalar,
  type MatmulOptions,
  type Value,
} from '../../graph/index.js';
import type { MatrixRole } from '../matrix-roles.js';
import type { Optimizer, StepContext } from '../optimizers/optimizer.js';
import { stepAlong, type StepOptions } from '../optimizers/step.js';
import { rankWithin, type RankOptions } from '../rank-options.js';
import { numbersOf } from '../weights/weights.js';
import { full } from './full.js';
import type { GradientSpace } from './gradient-space.js';
import { SubspaceClock } from './subspace-clock.js';
import type { ResolvedSubspaceOptions } from './subspace-options.js';

/** Products of the gradient with what the first gave: two power iterations, one and a half on the right side. */
const furtherProducts = { left: 4, right: 3 } as const;

/**
 * Singular subspaces of full gradients. Weights without one have full gradients and states.
 * @param takeStep what a direction in the subspace becomes; without it the step is Q N alone
 */
export function singularSubspace(
  options: ResolvedSubspaceOptions & StepOptions,
  takeStep: SubspaceStepRule = stepWithin,
): GradientSpace {
  return {
    targets: options.targetModules,
    weightGradient: full.weightGradient,
    update: updateRule({ isRefresh: false }),
    variants: { refresh: { update: updateRule({ isRefresh: true }) } },
    clocks: {
      subspace: { scalars: [], start: () => new SubspaceClock(options.refreshInterval, 'refresh') },
    },
  };

  function updateRule({ isRefresh }: { readonly isRefresh: boolean }): GradientSpace['update'] {
    return (weight, gradient, context, optimizer) => {
      const subspace = subspaceOf(weight);
      if (subspace === undefined) return optimizer.update(weight, gradient, context);
      const { dtype } = numbersOf(weight);
      const operand = gradient.dtype === dtype ? gradient : cast(gradient, dtype);
      if (isRefresh)
        orthonormalizePersistent(leadingVectors(operand, subspace, weight, options.seed), subspace.basis);
      subspaceUpdate(weight, gradient, operand, subspace, context, optimizer);
    };
  }

  /** Undefined for weights that keep their full gradients. */
  function subspaceOf(weight: Value): Subspace | undefined {
    const isTarget = options.targetModules.includes(weight.parameter!.role as MatrixRole);
    return isTarget ? subspaceOfWeight(weight, options) : undefined;
  }

  function subspaceUpdate(
    weight: Value,
    gradient: Value,
    operand: Value,
    subspace: Subspace,
    context: StepContext,
    optimizer: Optimizer,
  ): void {
    const { dtype } = gradient;
    const compressed = takenInside(operand, subspace, { dtype, name: 'compressedGradient' });
    const direction = optimizer.direction!(compressed, {
      ...context,
      parameter: weight,
      firstMomentStep: context.stateStep,
      dtype: operand.dtype,
    });
    takeStep({ weight, gradient, compressed, direction, subspace, ...context }, options);
  }
}

/**
 * The subspace of a weight, a state of it.
 * @throws ERR_COMPACT_RANK for a rank over the smaller side
 */
export function subspaceOfWeight(weight: Value, rankOptions: RankOptions): Subspace {
  const { graph, name, shape } = weight;
  const [rows, columns] = shape as [number, number];
  const width = Math.min(rows, columns);
  const rank = rankWithin(width, rankOptions, { name, whose: 'the smaller side of the weight' });
  const suffixed = `${nameOfStates(weight)}.subspace`;
  const basis = graph.state(suffixed, [width, rank], numbersOf(weight).dtype, 'optimizerState');
  return { basis, side: rows <= columns ? 'left' : 'right', rank };
}

/**
 * What spans the leading singular vectors of a gradient, (smaller side, rank), f32, by randomised subspace iteration (Halko,
 * Martinsson & Tropp, SIAM Review 2011, algorithm 4.4): products with the gradient and its transpose in turns, orthonormal in
 * between.
 */
export function leadingVectors(
  gradient: Value,
  { side, rank }: Subspace,
  weight: Value,
  seed: number,
): Value {
  const { tensorId } = numbersOf(weight);
  const start = { seed, tensorId, rank, distribution: 'gaussian' } as const;
  let vectors = project(gradient, start, scalar('step'), { name: 'singularVectors', kind: 'gradient' });
  for (let i = 0; i < furtherProducts[side]; i++)
    vectors = gradientProduct(gradient, orthonormalize(vectors, gradient.dtype), {
      transposeA: i % 2 === 0,
      dtype: 'f32',
      name: 'singularVectors',
    });
  return vectors;
}

/** Where a gradient is taken to. */
export interface Subspace {
  /** Q: (the smaller side, rank), orthonormal columns. */
  readonly basis: Value;
  /** Of the weight: left where rows are the smaller side. */
  readonly side: 'left' | 'right';
  readonly rank: number;
}

/** What there is of a weight's gradient when its step is taken. */
export interface SubspaceStep extends StepContext {
  readonly weight: Value;
  /** G, full; nothing reads it any more, so a step can take its memory. */
  readonly gradient: Value;
  /** R, in the dtype of the gradient. */
  readonly compressed: Value;
  /** N, in the dtype of the weight's products. */
  readonly direction: Value;
  readonly subspace: Subspace;
}

/** Moves a weight. */
export type SubspaceStepRule = (step: SubspaceStep, options: ResolvedSubspaceOptions & StepOptions) => void;

/** W moves along Q N. */
const stepWithin: SubspaceStepRule = ({ weight, direction, subspace }, options) =>
  stepAlong(weight, takenBack(direction, subspace, { name: 'direction' }), options, options.updateScale);

/** Q^T G or G Q: into the subspace. */
export const takenInside = (
  full: Value,
  { basis, side }: Pick<Subspace, 'basis' | 'side'>,
  options: MatmulOptions,
): Value =>
  side === 'left'
    ? gradientProduct(basis, full, { ...options, transposeA: true })
    : gradientProduct(full, basis, options);

/** Q N or N Q^T: from the subspace to full size. */
export const takenBack = (
  inside: Value,
  { basis, side }: Pick<Subspace, 'basis' | 'side'>,
  options: MatmulOptions,
): Value =>
  side === 'left'
    ? gradientProduct(basis, inside, options)
    : gradientProduct(inside, basis, { ...options, transposeB: true });

export const gradientProduct = (a: Value, b: Value, options: MatmulOptions): Value =>
  matmul(a, b, { ...options, kind: 'gradient' });
