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

/** Options of `qlora`. */
export interface QloraOptions extends AdapterOptions, AdapterInputOptions, MethodOptions {}

/**
 * `lora` over weights in NF4 with double quantisation. Dropout of adapters and paged optimizer states are not offered.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example qlora({ r: 16, embeddingWeights: 'int8' })
 */
export const qlora: Preset<QloraOptions> = preset<
  AdapterOptions & AdapterInputOptions,
  Required<AdapterOptions> & AdapterInputOptions
>({
  ...adapterInputRules,
  name: 'qlora',
  source: 'Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, NeurIPS 2023, arXiv 2305.14314',
  table: { ...adapterTable({ r: 64, loraAlpha: 16, targetModules: 'all-linear' }), ...adapterInputTable },
  codes: adapterCodes,
  weights: 'nf4',
  resolve: (checked) => checkAdapterInputs('qlora', checked),
  compose: (options, optimizer) => ({
    adaptation: lowRankAdapter('qlora', options, (parameter) => factorOf(parameter) !== undefined),
    gradientSpace: adapterInputs(options, optimizer),
    saving: { recompute: 'none' },
  }),
});
