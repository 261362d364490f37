import { adamw, adamWTable, type AdamWSettings } from './adamw.js';
import { defineOptimizer } from './optimizer.js';

/**
 * AdamW whose moments are eight bits each. Embeddings have them too: the paper keeps 32 bits there, beside a norm of
 * its own that models here do not have (`embeddingOptimizer: 'adamw'` is that choice).
 */
export const adamw8bit = defineOptimizer<AdamWSettings>()({
  name: 'adamw-8bit',
  source: 'Dettmers et al., 8-bit Optimizers via Block-wise Quantization, ICLR 2022, arXiv 2110.02861',
  table: adamWTable,
  stateFormats: ['8bit'],
  stepsInt8: true,
  create: (options) => adamw.create(options),
});
