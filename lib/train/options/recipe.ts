import { compactError, isCompactError } from '../../errors.js';
import { methodFromDescription } from '../../methods/index.js';
import { llama, modelFromDescription, type LlamaConfig, type Model } from '../../models/index.js';
import { checkOptions, checkValue, ownValues, path, section } from '../../options.js';
import { loadModel } from '../weights/load-model.js';
import { checkDataOptions, resolveOptions } from './options.js';
import { trainerTable } from './trainer-table.js';
import type { TrainerOptions } from './types.js';

/** The options of a trainer that are values. */
export const {
  signal: _signal,
  onTokenize: _onTokenize,
  onReference: _onReference,
  ...plainRows
} = trainerTable;

/** What a recipe may say: the options of a trainer, with model, method and data as mappings of plain values. */
export const recipeTable = { ...plainRows, model: section, method: section, data: section };

/**
 * The options of a trainer that plain values describe, as a recipe file holds them. `model: 'llama-demo'` is short for
 * `{ preset: 'llama-demo' }`, where a path of a `config.json` or of its folder may stand, too (`loadModel`), `method: 'compact'` for `{ name: 'compact' }`, and `data: 'a.txt'` for `{ train: 'a.txt' }`.
 * Where there is a `baseModel`, its folder is the model that is left out.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY (with the nearest known key), ERR_COMPACT_CONFIG_VALUE,
 *   ERR_COMPACT_RANK, ERR_COMPACT_MODEL_UNKNOWN, ERR_COMPACT_MODEL_READ; `op` is the path of the key, e.g. 'method.rankRatio'
 */
export function optionsFromRecipe(recipe: unknown): TrainerOptions {
  const values = new Map(ownValues(recipe, { what: 'a recipe' }));
  if (!values.has('model') && values.has('baseModel')) values.set('model', values.get('baseModel'));
  for (const key of ['model', 'method', 'data'])
    if (values.has(key)) values.set(key, expandShorthand(key, values.get(key)));
  const checked = checkOptions(Object.fromEntries(values), recipeTable, { what: 'a recipe' });
  const options = {
    ...checked,
    model: inSection('model', () => modelFromSection(checked.model)),
    method: inSection('method', () => methodFromDescription(checked.method)),
    data: checkDataOptions(checked.data, checked.baseModel),
  };
  resolveOptions(options); // what options say of each other
  return options;
}

/** The mapping that a section's short form stands for. */
export function expandShorthand(key: string, value: unknown): unknown {
  if (key === 'model' && typeof value === 'string') return { preset: value };
  if (key === 'method' && typeof value === 'string') return { name: value };
  if (key === 'data' && (typeof value === 'string' || Array.isArray(value))) return { train: value };
  return value;
}

function modelFromSection(section: Readonly<Record<string, unknown>>): Model {
  const values = new Map(ownValues(section, { what: 'model' }));
  const preset = values.get('preset');
  values.delete('preset');
  const config = Object.fromEntries(values) as Readonly<Record<string, unknown>>;
  if (preset !== undefined) return loadModel(checkValue(preset, path, 'preset'), config);
  return values.has('architecture') ? modelFromDescription(config) : llama(config as unknown as LlamaConfig);
}

/** Adds the section to the name of the key that a model or a method complains of. */
export function inSection<T>(section: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (!isCompactError(error)) throw error;
    const { code, what, op, ...fields } = error;
    throw compactError(code, what, { ...fields, op: op === undefined ? section : `${section}.${op}` });
  }
}
