import { clippedByValue, clippingTable, type ClippingSettings } from '../gradient-space/clipped.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `lomo`: clipping, and those of every method and of SGD. */
export interface LomoOptions extends ClippingSettings, MethodOptions {}

/**
 * Low-memory optimization: gradient descent inside backward, without states; a gradient lives from its product to the
 * update of its weight. Gradients cannot accumulate. They can be clipped by value; clipping by their global norm is
 * refused: the paper runs backward a second time for it.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example lomo({ maxGradValue: 1 })
 */
export const lomo: Preset<LomoOptions> = preset<ClippingSettings, Required<ClippingSettings>>({
  name: 'lomo',
  source:
    'Lv et al., Full Parameter Fine-tuning for Large Language Models with Limited Resources, ACL 2024, arXiv 2306.09782',
  table: clippingTable,
  optimizers: ['sgd'],
  updatesInBackward: true,
  compose: (options) => ({ gradientSpace: clippedByValue(options), saving: { recompute: 'none' } }),
});
