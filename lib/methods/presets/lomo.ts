import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `lomo`: those of every method and of SGD. */
export interface LomoOptions extends MethodOptions {}

/**
 * Low-memory optimization: gradient descent inside backward, without states; a gradient lives from its product to the
 * update of its weight. Gradients cannot accumulate. Clipping by their global norm is refused: the paper runs backward a
 * second time for it.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example lomo()
 */
export const lomo: Preset<LomoOptions> = preset({
  name: 'lomo',
  source:
    'Lv et al., Full Parameter Fine-tuning for Large Language Models with Limited Resources, ACL 2024, arXiv 2306.09782',
  table: {},
  optimizers: ['sgd'],
  updatesInBackward: true,
  compose: () => ({ gradientSpace: full, saving: { recompute: 'none' } }),
});
