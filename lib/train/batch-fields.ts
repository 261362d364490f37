import type { DataOptions, RecordDataOptions } from '../data/index.js';
import { fieldsOf } from '../data/index.js';
import { compactError } from '../errors.js';
import type { Model } from '../graph/index.js';

/** The ids that every token of a batch can take: from 0 to below this. */
export const vocabularyOf = ({ batchFields }: Pick<Model, 'batchFields'>): number =>
  Math.min(
    ...batchFields
      .filter(({ name }) => name === 'tokens' || name === 'targets')
      .map(({ numIds = Infinity }) => numIds),
  );

/** @throws ERR_COMPACT_CONFIG_VALUE when the model reads what batches of the data do not hold */
export function checkFields(
  { name, batchFields }: Pick<Model, 'name' | 'batchFields'>,
  data: DataOptions | RecordDataOptions,
): void {
  const given = fieldsOf(data, batchFields);
  const missing = batchFields.find((field) => !given.includes(field.name));
  if (missing === undefined) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `the model ${name} reads what its data does not give`, {
    op: 'model',
    expected: `fields of a batch among ${given.join(', ')}`,
    received: missing.name,
    remedy: given.includes('labels')
      ? undefined
      : 'Models for classes or a number take records with a label, models that learn preferences records of pairs',
  });
}
