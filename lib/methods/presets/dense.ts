import { full } from '../gradient-space/full.js';
import { projectionTable } from '../gradient-space/projection-options.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `dense`: those of every method. */
export interface DenseOptions extends MethodOptions {}

/**
 * Plain training: layers keep their inputs, gradients are full.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example dense({ weightDecay: 0.1 })
 */
export const dense: Preset<DenseOptions> = preset({
  name: 'dense',
  source: 'Rumelhart, Hinton & Williams, Learning representations by back-propagating errors, Nature 1986',
  table: {},
  remedyOf: (key) =>
    Object.hasOwn(projectionTable, key)
      ? `${key} is an option of the method compact: choose that, or leave ${key} out`
      : undefined,
  compose: () => ({ gradientSpace: full, saving: { recompute: 'none' } }),
});
