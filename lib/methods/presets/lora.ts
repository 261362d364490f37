import { adapterCodes, adapterTable, type AdapterOptions } from '../adaptation/adapter-options.js';
import { factorOf, lowRankAdapter } from '../adaptation/low-rank-adapter.js';
import {
  adapterInputRules,
  adapterInputs,
  adapterInputTable,
  checkAdapterInputs,
  type AdapterInputOptions,
} from '../gradient-space/adapter-inputs.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `lora`. */
export interface LoraOptions extends AdapterOptions, AdapterInputOptions, MethodOptions {}

/**
 * Trains low-rank adapters of frozen linear layers; everything else is frozen too. Dropout of adapters is not offered.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example lora({ r: 16, loraAlpha: 32, targetModules: 'all-linear' })
 */
export const lora: Preset<LoraOptions> = preset<
  AdapterOptions & AdapterInputOptions,
  Required<AdapterOptions> & AdapterInputOptions
>({
  ...adapterInputRules,
  name: 'lora',
  source: 'Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022, arXiv 2106.09685',
  table: { ...adapterTable({ r: 8, loraAlpha: 8, targetModules: ['query', 'value'] }), ...adapterInputTable },
  codes: adapterCodes,
  resolve: (checked) => checkAdapterInputs('lora', checked),
  compose: (options, optimizer) => ({
    adaptation: lowRankAdapter('lora', options, (parameter) => factorOf(parameter) !== undefined),
    gradientSpace: adapterInputs(options, optimizer),
    saving: { recompute: 'none' },
  }),
});
