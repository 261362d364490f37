import { adapterCodes, adapterTable, type AdapterOptions } from '../adaptation/adapter-options.js';
import { factorOf, lowRankAdapter } from '../adaptation/low-rank-adapter.js';
import { adapterInputTable } from '../gradient-space/adapter-inputs.js';
import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `loraFa`. */
export interface LoraFaOptions extends AdapterOptions, MethodOptions {}

/**
 * LoRA whose first factor is frozen as well: the second one's gradient needs x A alone, so no linear layer keeps its
 * input.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example loraFa({ r: 16 })
 */
export const loraFa: Preset<LoraFaOptions> = preset<AdapterOptions, Required<AdapterOptions>>({
  name: 'lora-fa',
  source: 'Zhang et al., LoRA-FA: Memory-efficient Low-rank Adaptation, 2023, arXiv 2308.03303',
  table: adapterTable({ r: 8, loraAlpha: 8, targetModules: 'all-linear' }),
  codes: adapterCodes,
  remedyOf: (key) =>
    Object.hasOwn(adapterInputTable, key)
      ? `lora-fa freezes the factor that reads inputs, so that no layer keeps them: leave ${key} out`
      : undefined,
  compose: (options) => ({
    adaptation: lowRankAdapter('lora-fa', options, (parameter) => factorOf(parameter) === 'B'),
    gradientSpace: full,
    saving: { recompute: 'none' },
  }),
});
