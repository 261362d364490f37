import { adapterCodes, adapterTable, type AdapterOptions } from '../adaptation/adapter-options.js';
import { restartedAdapter, restartTable, type RestartSettings } from '../adaptation/restarted-adapter.js';
import {
  adapterInputRules,
  adapterInputs,
  adapterInputTable,
  checkAdapterInputs,
  type AdapterInputOptions,
} from '../gradient-space/adapter-inputs.js';
import { preset, type MethodOptions, type Preset } from '../preset.js';

/** Options of `relora`. */
export interface ReloraOptions extends AdapterOptions, RestartSettings, AdapterInputOptions, MethodOptions {}

/**
 * Pretraining by low-rank adapters that are merged into their weights every so often and begin again; embeddings, head and
 * norms are trained as by `dense`. Optimizer states of adapters begin at zero, where the paper keeps the largest hundredth.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 * @example relora({ r: 64, resetInterval: 1000 })
 */
export const relora: Preset<ReloraOptions> = preset<
  AdapterOptions & RestartSettings & AdapterInputOptions,
  Required<AdapterOptions & RestartSettings> & AdapterInputOptions
>({
  ...adapterInputRules,
  name: 'relora',
  source: 'Lialin et al., ReLoRA: High-Rank Training Through Low-Rank Updates, ICLR 2024, arXiv 2307.05695',
  table: {
    ...adapterTable({ r: 128, loraAlpha: 32, targetModules: 'all-linear' }),
    ...restartTable,
    ...adapterInputTable,
  },
  codes: adapterCodes,
  resolve: (checked) => checkAdapterInputs('relora', checked),
  compose(options, optimizer) {
    const gradientSpace = adapterInputs(options, optimizer);
    return {
      adaptation: restartedAdapter('relora', options, gradientSpace, optimizer),
      gradientSpace,
      saving: { recompute: 'none' },
    };
  },
});
