import { compactError } from '../errors.js';
import type { Model } from '../graph/index.js';
import { llama } from './llama.js';
import type { LlamaConfig } from './llama-config.js';

/**
 * The model whose `describe()` gave this, e.g. as found in a checkpoint.
 * @throws ERR_COMPACT_MODEL_UNKNOWN, and what the architecture's own configuration throws
 */
export function modelFromDescription(description: Readonly<Record<string, unknown>>): Model {
  const { architecture, ...config } = description;
  if (architecture !== 'llama')
    throw compactError('ERR_COMPACT_MODEL_UNKNOWN', 'unknown architecture of a model', {
      op: 'architecture',
      expected: "'llama'",
      received: JSON.stringify(architecture),
    });
  return llama(config as unknown as LlamaConfig);
}
