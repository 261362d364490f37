import {
  projectionTable,
  resolveProjectionOptions,
  type ProjectionOptions,
  type ResolvedProjectionOptions,
} from '../gradient-space/projection-options.js';
import { randomProjection } from '../gradient-space/random-projection.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `compact`: rank, projection, storage, and those of the optimizer. */
export interface CompactOptions extends ProjectionOptions, MethodOptions {}

/**
 * Training with compressed activations. Weights that are not compressed are trained as by `dense`.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example compact({ rankRatio: 0.25 })
 */
export const compact: Preset<CompactOptions> = preset<ProjectionOptions, ResolvedProjectionOptions>({
  name: 'compact',
  source: 'Shamshoum et al., CompAct, NAACL 2025, arXiv 2410.15352',
  table: projectionTable,
  compressesGradients: () => true,
  optimizerDefaults: { adamw: { epsilon: 1e-6 } },
  statelessDefaults: { refreshInterval: 1 },
  published: { sharing: 'weight', outputProjection: 'dense' },
  resolve: (checked) => resolveProjectionOptions('compact', checked),
  compose: (options, optimizer) => ({
    gradientSpace: randomProjection(options, optimizer),
    saving: { recompute: options.store === 'stored' ? 'none' : 'cheap' },
  }),
});
