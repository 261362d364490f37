import { adapterCodes, adapterTable, type AdapterOptions } from '../adaptation/adapter-options.js';
import { factorOf, lowRankAdapter } from '../adaptation/low-rank-adapter.js';
import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `lora`. */
export interface LoraOptions extends AdapterOptions, MethodOptions {}

/**
 * Trains low-rank adapters of frozen linear layers; everything else is frozen too. Dropout of adapters is not offered.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example lora({ r: 16, loraAlpha: 32, targetModules: 'all-linear' })
 */
export const lora: Preset<LoraOptions> = preset<AdapterOptions, Required<AdapterOptions>>({
  name: 'lora',
  source: 'Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022, arXiv 2106.09685',
  table: adapterTable({ r: 8, loraAlpha: 8, targetModules: ['query', 'value'] }),
  codes: adapterCodes,
  compose: (options) => ({
    adaptation: lowRankAdapter('lora', options, (parameter) => factorOf(parameter) !== undefined),
    gradientSpace: full,
    saving: { recompute: 'none' },
  }),
});
