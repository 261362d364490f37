import { compile, type CompileOptions, type Plan } from '../../lib/compile/index.js';
import type { Method } from '../../lib/methods/index.js';
import { llama, type LlamaConfig } from '../../lib/models/index.js';
import { planTarget } from './plan-target.js';

/** A LLaMA whose widths all differ, so that a count of elements names what it counts. */
export const smallConfig = {
  vocabSize: 64,
  hiddenSize: 32,
  intermediateSize: 88,
  numAttentionHeads: 4,
  numHiddenLayers: 3,
} as const satisfies LlamaConfig;

/** The plan of a method for it, of two sequences of 16 tokens. */
export const planSmall = (method: Method, change: Partial<CompileOptions> = {}): Plan =>
  compile({
    model: llama(smallConfig),
    method,
    target: planTarget,
    batchSize: 2,
    sequenceLength: 16,
    dtype: 'f32',
    ...change,
  });
