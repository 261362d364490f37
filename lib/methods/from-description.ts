import { compactError, nearestName } from '../errors.js';
import { ownValues, shown } from '../options.js';
import type { Method } from './method.js';
import type { Preset } from './preset.js';
import * as presets from './presets/index.js';

/** Every preset by name. */
export const presetsByName: ReadonlyMap<string, Preset<object>> = new Map(
  Object.values<Preset<object>>(presets).map((preset) => [preset.info.name, preset]),
);

/** Names of all methods. */
export const methodNames: readonly string[] = [...presetsByName.keys()];

/**
 * The method that a plain description names: `{ name, ...options }`, as `describe()` gives it and recipes hold it.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_VALUE for an unknown name, and what the method throws for its options
 */
export function methodFromDescription(description: Readonly<Record<string, unknown>>): Method {
  const values = new Map(ownValues(description, { what: 'a method' }));
  const name = values.get('name');
  const preset = typeof name === 'string' ? presetsByName.get(name) : undefined;
  if (preset !== undefined) {
    values.delete('name');
    return preset(Object.fromEntries(values));
  }
  const nearest = typeof name === 'string' ? nearestName(name, methodNames) : undefined;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', 'unknown training method', {
    op: 'name',
    expected: `one of ${methodNames.join(', ')}`,
    received: shown(name),
    remedy: nearest && `Did you mean '${nearest}'?`,
  });
}
