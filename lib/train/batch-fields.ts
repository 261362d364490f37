import { Dataset } from '../data/index.js';
import { compactError } from '../errors.js';
import type { Model } from '../graph/index.js';

/**
 * The ids that every field of ids which a model reads can take: from 0 to below this.
 * @throws ERR_COMPACT_CONFIG_VALUE when the model reads what batches of text do not hold
 */
export function vocabularyOf({ name, batchFields }: Pick<Model, 'name' | 'batchFields'>): number {
  const missing = batchFields.find((field) => !Dataset.fields.includes(field.name));
  if (missing !== undefined)
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `the model ${name} reads what text does not give`, {
      op: 'model',
      expected: `fields of a batch among ${Dataset.fields.join(', ')}`,
      received: missing.name,
    });
  return Math.min(...batchFields.map(({ numIds = Infinity }) => numIds));
}
