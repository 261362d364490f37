import { adapterCodes, adapterTable, type AdapterOptions } from '../adaptation/adapter-options.js';
import { decomposedAdapter } from '../adaptation/decomposed-adapter.js';
import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `dora`: those of its adapters, and of every method. */
export interface DoraOptions extends AdapterOptions, MethodOptions {}

/**
 * Low-rank adapters of the directions of frozen weights, beside magnitudes that train; everything else is frozen. Dropout of
 * adapters is not offered, nor are weights in codes.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example dora({ r: 16, loraAlpha: 32, targetModules: 'all-linear' })
 */
export const dora: Preset<DoraOptions> = preset<AdapterOptions, Required<AdapterOptions>>({
  name: 'dora',
  source: 'Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024, arXiv 2402.09353',
  table: adapterTable({ r: 32, loraAlpha: 64, targetModules: ['query', 'key', 'value', 'up', 'down'] }),
  codes: adapterCodes,
  compose: (options) => ({
    adaptation: decomposedAdapter('dora', options),
    gradientSpace: full,
    saving: { recompute: 'none' },
  }),
});
