import type { Model } from '../graph/index.js';
import { ownValues } from '../options.js';
import { architectureNamed } from './architectures.js';

/**
 * The model whose `describe()` gave this, e.g. as found in a checkpoint.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_MODEL_UNKNOWN, and what the architecture's own configuration throws
 */
export function modelFromDescription(description: Readonly<Record<string, unknown>>): Model {
  const values = new Map(ownValues(description, { what: 'a model' }));
  const architecture = architectureNamed(values.get('architecture'), 'architecture');
  values.delete('architecture');
  return architecture.create(Object.fromEntries(values));
}
