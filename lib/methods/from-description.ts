import { compactError, nearestName } from '../errors.js';
import { ownValues, shown } from '../options.js';
import { compact } from './compact.js';
import { dense } from './dense.js';
import type { Method } from './method.js';

const methods: Readonly<Record<string, (options: object) => Method>> = { dense, compact };

/** Names of all methods. */
export const methodNames: readonly string[] = Object.keys(methods);

/**
 * The method that a plain description names: `{ name, ...options }`, as `describe()` gives it and recipes hold it.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_VALUE for an unknown name, and what the method throws for its options
 */
export function methodFromDescription(description: Readonly<Record<string, unknown>>): Method {
  const values = new Map(ownValues(description, { what: 'a method' }));
  const name = values.get('name');
  if (typeof name === 'string' && Object.hasOwn(methods, name)) {
    values.delete('name');
    return methods[name]!(Object.fromEntries(values));
  }
  const nearest = typeof name === 'string' ? nearestName(name, methodNames) : undefined;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', 'unknown training method', {
    op: 'name',
    expected: `one of ${methodNames.join(', ')}`,
    received: shown(name),
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}
