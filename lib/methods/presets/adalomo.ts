import { clippedByValue, clippingTable, type ClippingSettings } from '../gradient-space/clipped.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `adalomo`: clipping, and those of every method and of Adafactor. */
export interface AdaLomoOptions extends ClippingSettings, MethodOptions {}

/**
 * Low-memory optimization with adaptive rates: a gradient lives from its product to the update of its weight, whose
 * second moment is factored and whose step is relative to its root mean square (grouped normalisation). Its direction
 * is Adafactor's; the paper's rate is 1e-3. Gradients can be clipped by value, but cannot accumulate or be clipped by
 * their global norm.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export const adalomo: Preset<AdaLomoOptions> = preset<ClippingSettings, Required<ClippingSettings>>({
  name: 'adalomo',
  source:
    'Lv et al., AdaLomo: Low-memory Optimization with Adaptive Learning Rate, ACL 2024, arXiv 2310.10195',
  table: clippingTable,
  optimizers: ['adafactor'],
  updatesInBackward: true,
  compose: (options) => ({ gradientSpace: clippedByValue(options), saving: { recompute: 'none' } }),
});
