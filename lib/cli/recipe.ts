import { compactError, isCompactError } from '../errors.js';
import { optionsFromRecipe } from '../train/options/recipe.js';
import type { TrainerOptions } from '../train/index.js';
import type { RecipeFile } from './recipe-file.js';

/**
 * The options of a trainer that a recipe file describes, checked whole before anything starts.
 * @throws what optionsFromRecipe throws, with the place in the file and what to do from a shell
 */
export function trainerOptions(file: RecipeFile): TrainerOptions {
  try {
    return optionsFromRecipe(file.values);
  } catch (error) {
    if (!isCompactError(error)) throw error;
    const { code, what, op = '', expected, received, remedy, details } = error;
    const place = file.locate(op.split('.'));
    throw compactError(code, `${place}: ${what}`, {
      op,
      expected,
      received,
      remedy: shellRemedy(op, received, details?.['excluded']) ?? remedy,
      details,
    });
  }
}

function shellRemedy(key: string, received: string | undefined, excluded: unknown): string | undefined {
  if (Array.isArray(excluded)) {
    const section = key.includes('.') ? key.slice(0, key.lastIndexOf('.') + 1) : '';
    const unset = excluded.map((name) => `--set ${section}${name}=null`);
    return `Leave one of them out, in a shell by ${unset.join(' or ')}`;
  }
  return received === 'nothing' ? `Add '${key}: ...' to the recipe, or give --set ${key}=...` : undefined;
}
