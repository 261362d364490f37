import { stepWithResidual } from '../gradient-space/scaled-residual.js';
import { singularSubspace } from '../gradient-space/singular-subspace.js';
import {
  resolveSubspaceOptions,
  subspaceTable,
  type ResolvedSubspaceOptions,
  type SubspaceOptions,
} from '../gradient-space/subspace-options.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `fira`: those of `galore`. */
export interface FiraOptions extends SubspaceOptions, MethodOptions {}

/**
 * Training as by `galore`, and along what its subspaces leave of a gradient: scaled, channel by channel, as the optimizer
 * scales the part inside, with a limit to how fast it grows. `updateScale` multiplies the part inside alone, as in the
 * published code. Differences from that code: it leaves 1 - updateScale of the part inside in what is outside, here there
 * is nothing of it; and those of `galore`.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example fira({ rankRatio: 0.25, refreshInterval: 200 })
 */
export const fira: Preset<FiraOptions> = preset<SubspaceOptions, ResolvedSubspaceOptions>({
  name: 'fira',
  source:
    'Chen et al., Fira: Can We Achieve Full-rank Training of LLMs Under Low-rank Constraint?, 2024, arXiv 2410.01623',
  table: subspaceTable,
  compressesGradients: () => true,
  optimizerDefaults: { adamw: { epsilon: 1e-6 } },
  resolve: (checked) => resolveSubspaceOptions('fira', checked),
  compose: (options) => ({
    gradientSpace: singularSubspace(options, stepWithResidual),
    saving: { recompute: 'none' },
  }),
});
