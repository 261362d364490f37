import { numberFrom, optional, wholeNumber, type Checked, type OptionTable } from '../../options.js';
import { projectedAlike } from '../gradient-space/projection-options.js';
import { randomProjection } from '../gradient-space/random-projection.js';
import { matrixRolesRow, type MatrixRole } from '../matrix-roles.js';
import { proximal } from '../optimizers/proximal.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';
import { rankOrDefault, rankTable, type RankOptions } from '../rank-options.js';

/** What `rso` can be told beside the options of every method. The rank is one of each layer's input width. */
export interface RandomSubspaceOptions extends RankOptions {
  /** Optimizer steps in each subspace. Default 200. */
  readonly innerSteps?: number;
  /** Pulls B to zero: the paper's 1 / eta. With it B is kept, as large as a moment. Default 0: no such term. */
  readonly proximalPenalty?: number;
  /** Roles of weights that move in subspaces. Default: all of attention and of the MLP. */
  readonly targetModules?: readonly MatrixRole[];
}

/** Options of `rso`: rank and steps of subspaces, and those of the optimizer. */
export interface RsoOptions extends RandomSubspaceOptions, MethodOptions {}

type ResolvedOptions = Required<Omit<RandomSubspaceOptions, 'rank' | 'rankRatio'>> & RankOptions;

const table = {
  ...rankTable,
  innerSteps: optional(wholeNumber(1), 200),
  proximalPenalty: optional(numberFrom(0), 0),
  targetModules: matrixRolesRow,
} satisfies OptionTable<RandomSubspaceOptions>;

/**
 * Training in one random subspace after another: each weight is W + P B with a random P, an optimizer that begins anew works on
 * B for `innerSteps` steps, and W becomes W + P B. Layers keep x P, which is all that the gradient of B needs. Steps are added to
 * W as they are taken, so that no B exists unless `proximalPenalty` asks for it; the attention's output projection projects in
 * backward the input that attention keeps anyway.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example rso({ rankRatio: 0.25, innerSteps: 200 })
 */
export const rso: Preset<RsoOptions> = preset<RandomSubspaceOptions, ResolvedOptions>({
  name: 'rso',
  source:
    'Chen et al., A Memory Efficient Randomized Subspace Optimization Method for Training Large Language Models, 2025, arXiv 2502.07222',
  table,
  compressesGradients: () => true,
  resolve(checked) {
    const { rank, rankRatio, ...options } = checked as Checked<typeof table>;
    return { ...options, ...rankOrDefault('rso', { rank, rankRatio }) };
  },
  compose: ({ targetModules, innerSteps, proximalPenalty, ...options }, optimizer) => ({
    gradientSpace: randomProjection(
      {
        ...options,
        ...projectedAlike(targetModules),
        refreshInterval: innerSteps,
        store: 'stored',
        momentsAtRefresh: 'restart',
      },
      proximal(optimizer, proximalPenalty),
    ),
    saving: { recompute: 'none' },
  }),
});
