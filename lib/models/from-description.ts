import { compactError, nearestName } from '../errors.js';
import type { Model } from '../graph/index.js';
import { ownValues, shown } from '../options.js';
import { llama } from './llama.js';
import type { LlamaConfig } from './llama-config.js';

/**
 * The model whose `describe()` gave this, e.g. as found in a checkpoint.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_MODEL_UNKNOWN, and what the architecture's own configuration throws
 */
export function modelFromDescription(description: Readonly<Record<string, unknown>>): Model {
  const values = new Map(ownValues(description, { what: 'a model' }));
  const architecture = values.get('architecture');
  if (architecture !== 'llama') {
    const nearest = typeof architecture === 'string' ? nearestName(architecture, ['llama']) : undefined;
    throw compactError('ERR_COMPACT_MODEL_UNKNOWN', 'unknown architecture of a model', {
      op: 'architecture',
      expected: "'llama'",
      received: shown(architecture),
      remedy: nearest && `Did you mean '${nearest}'?`,
    });
  }
  values.delete('architecture');
  return llama(Object.fromEntries(values) as unknown as LlamaConfig);
}
