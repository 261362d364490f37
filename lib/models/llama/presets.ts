import type { LlamaConfig } from './config.js';

/** A language model of 32,000 tokens as the LLaMA and CompAct papers shape it. */
const llama32k = (
  hiddenSize: number,
  intermediateSize: number,
  numAttentionHeads: number,
  numHiddenLayers: number,
): LlamaConfig => ({ vocabSize: 32000, hiddenSize, intermediateSize, numAttentionHeads, numHiddenLayers });

/** Models by name. The name counts the parameters; 1b and larger follow the published sizes. */
export const llamaPresets = {
  /** Byte-level model of 1.9 million parameters that learns plain text in minutes on two cores. */
  'llama-demo': {
    vocabSize: 257,
    hiddenSize: 192,
    intermediateSize: 512,
    numAttentionHeads: 6,
    numHiddenLayers: 4,
  },
  'llama-9m': llama32k(128, 352, 4, 4),
  'llama-20m': llama32k(256, 688, 4, 4),
  'llama-35m': llama32k(384, 1024, 8, 6),
  'llama-60m': llama32k(512, 1376, 8, 8),
  'llama-130m': llama32k(768, 2048, 12, 12),
  'llama-350m': llama32k(1024, 2736, 16, 24),
  'llama-1b': llama32k(2048, 5461, 32, 24),
  'llama-3b': llama32k(2560, 6848, 32, 32),
  'llama-7b': llama32k(4096, 11008, 32, 32),
  'llama-3-8b': {
    vocabSize: 128256,
    hiddenSize: 4096,
    intermediateSize: 14336,
    numAttentionHeads: 32,
    numHiddenLayers: 32,
    numKeyValueHeads: 8,
    maxPositionEmbeddings: 8192,
    rmsNormEps: 1e-5,
    ropeTheta: 500000,
  },
  'llama-13b': llama32k(5120, 13824, 40, 40),
  'llama-33b': llama32k(6656, 17920, 52, 60),
  'llama-65b': llama32k(8192, 22016, 64, 80),
} as const satisfies Readonly<Record<string, LlamaConfig>>;

/** The names of `llamaPresets`. */
export type LlamaPreset = keyof typeof llamaPresets;

/** The name of a preset; editors complete it, and other text is refused when it is used. */
export type LlamaPresetName = LlamaPreset | (string & {});
