import { singularSubspace } from '../gradient-space/singular-subspace.js';
import {
  resolveSubspaceOptions,
  subspaceTable,
  type ResolvedSubspaceOptions,
  type SubspaceOptions,
} from '../gradient-space/subspace-options.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `galore`: rank, subspaces, and those of the optimizer. */
export interface GaloreOptions extends SubspaceOptions, MethodOptions {}

/**
 * Training with gradients in a low-rank subspace of their own. Layers keep their inputs and gradients are full until
 * they are projected, one at a time; states are of the projected ones. Moments are kept when a subspace changes, as
 * published. Differences from the published code: subspaces come from randomised subspace iteration instead of an SVD,
 * and the optimizer is the one of `optimizer`, bias corrections and epsilon included.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example galore({ rankRatio: 0.25, refreshInterval: 200 })
 */
export const galore: Preset<GaloreOptions> = preset<SubspaceOptions, ResolvedSubspaceOptions>({
  name: 'galore',
  source: 'Zhao et al., GaLore, ICML 2024, arXiv 2403.03507',
  table: subspaceTable,
  compressesGradients: () => true,
  optimizerDefaults: { adamw: { epsilon: 1e-6 } },
  resolve: (checked) => resolveSubspaceOptions('galore', checked),
  compose: (options) => ({ gradientSpace: singularSubspace(options), saving: { recompute: 'none' } }),
});
