import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `mesa`: those of every method. */
export interface MesaOptions extends MethodOptions {}

/**
 * Training as by `dense`, with what backward reads held as int8 groups: forward is exact, gradients come from the
 * rebuilt copies. A group's range is its own largest magnitude, where the paper keeps a running estimate.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example mesa({ savedGroupSize: 64 })
 */
export const mesa: Preset<MesaOptions> = preset({
  name: 'mesa',
  source: 'Pan et al., Mesa: A Memory-saving Training Framework for Transformers, 2021, arXiv 2111.11124',
  table: {},
  savedActivations: 'int8',
  compose: () => ({ gradientSpace: full, saving: { recompute: 'none' } }),
});
