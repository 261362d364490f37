import { methodFromDescription } from '../../methods/index.js';
import { checkOptions, ownValues } from '../../options.js';
import type { FineTuneOptions } from '../fine-tune.js';
import { fineTuneRecipeTable } from './fine-tune-table.js';
import { expandShorthand, inSection } from './recipe.js';

/**
 * The options of `fineTune` that plain values describe, as JSON or YAML holds them. `method: 'lora'` is short for
 * `{ name: 'lora' }`; `data` is a path, a list of paths, or a mapping. What options say of each other, of the model and of the data
 * is checked by `fineTune`.
 *
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY (with the nearest known key), ERR_COMPACT_CONFIG_VALUE,
 *   ERR_COMPACT_RANK; `op` is the path of the key, e.g. 'method.rank'
 * @example
 * await fineTune(fineTuneFromRecipe({ model: 'downloads/my-llama', method: 'qlora', data: 'chats.jsonl', outputDirectory: 'runs/mine' }));
 */
export function fineTuneFromRecipe(recipe: unknown): FineTuneOptions {
  const context = { what: 'a recipe of fineTune' };
  const values = new Map(ownValues(recipe, context));
  values.set('method', expandShorthand('method', values.get('method')));
  const { method, ...options } = checkOptions(Object.fromEntries(values), fineTuneRecipeTable, context);
  return {
    ...(options as Omit<FineTuneOptions, 'method'>),
    ...(method !== undefined && { method: inSection('method', () => methodFromDescription(method)) }),
  };
}
