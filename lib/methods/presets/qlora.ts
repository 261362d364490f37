import { adapterCodes, adapterTable, type AdapterOptions } from '../adaptation/adapter-options.js';
import { factorOf, lowRankAdapter } from '../adaptation/low-rank-adapter.js';
import { full } from '../gradient-space/full.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `qlora`. */
export interface QloraOptions extends AdapterOptions, MethodOptions {}

/**
 * `lora` over weights in NF4 with double quantisation. Dropout of adapters and paged optimizer states are not offered.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example qlora({ r: 16, embeddingWeights: 'int8' })
 */
export const qlora: Preset<QloraOptions> = preset<AdapterOptions, Required<AdapterOptions>>({
  name: 'qlora',
  source: 'Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, NeurIPS 2023, arXiv 2305.14314',
  table: adapterTable({ r: 64, loraAlpha: 16, targetModules: 'all-linear' }),
  codes: adapterCodes,
  weights: 'nf4',
  compose: (options) => ({
    adaptation: lowRankAdapter('qlora', options, (parameter) => factorOf(parameter) !== undefined),
    gradientSpace: full,
    saving: { recompute: 'none' },
  }),
});
