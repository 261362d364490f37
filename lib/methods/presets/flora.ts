import { optional, wholeNumber, type Checked, type OptionTable } from '../../options.js';
import { projectedAlike } from '../gradient-space/projection-options.js';
import { randomProjection } from '../gradient-space/random-projection.js';
import { matrixRolesRow, type MatrixRole } from '../matrix-roles.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';
import { rankOrDefault, rankTable, type RankOptions } from '../rank-options.js';

/** What `flora` can be told beside the options of every method. The rank is one of each layer's input width. */
export interface GradientCompressionOptions extends RankOptions {
  /**
   * Optimizer steps between new projections: the paper's kappa. Default 1000; 1 with an optimizer that keeps nothing of
   * compressed weights, where a projection is that of one sum of gradients.
   */
  readonly refreshInterval?: number;
  /** Roles of weights whose gradients are compressed. Default: all of attention and of the MLP. */
  readonly targetModules?: readonly MatrixRole[];
}

/** Options of `flora`: rank and projection, and those of the optimizer. */
export interface FloraOptions extends GradientCompressionOptions, MethodOptions {}

type ResolvedOptions = Required<Omit<GradientCompressionOptions, 'rank' | 'rankRatio'>> & RankOptions;

const table = {
  ...rankTable,
  refreshInterval: optional(wholeNumber(1), 1000),
  targetModules: matrixRolesRow,
} satisfies OptionTable<GradientCompressionOptions>;

/**
 * Gradients compressed by a random projection, in which they add up over micro-batches and have their moments; the first
 * moment is carried over to each new projection. Layers keep their inputs, as published, and project them in backward:
 * P^T (x^T dy) is made as (x P)^T dy, so that no full gradient of a compressed weight ever exists. In the published code
 * the second moment is that of full gradients, here it is that of compressed ones.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example flora({ rank: 64 })
 */
export const flora: Preset<FloraOptions> = preset<GradientCompressionOptions, ResolvedOptions>({
  name: 'flora',
  source:
    'Hao et al., Flora: Low-Rank Adapters Are Secretly Gradient Compressors, ICML 2024, arXiv 2402.03293',
  table,
  compressesGradients: () => true,
  optimizers: ['adafactor', 'sgd', 'adamw', 'lion', 'muon', 'rmnp', 'scale'],
  optimizerDefaults: { adafactor: { momentum: 0.9 }, sgd: { momentum: 0.9 }, adamw: { epsilon: 1e-6 } },
  statelessDefaults: { refreshInterval: 1 },
  resolve(checked) {
    const { rank, rankRatio, ...options } = checked as Checked<typeof table>;
    return { ...options, ...rankOrDefault('flora', { rank, rankRatio }) };
  },
  compose: ({ targetModules, ...options }, optimizer) => ({
    gradientSpace: randomProjection(
      {
        ...options,
        ...projectedAlike(targetModules),
        store: 'lazy',
        momentsAtRefresh: 'transfer',
      },
      optimizer,
    ),
    saving: { recompute: 'none' },
  }),
});
