import { compactError } from '../errors.js';
import { methodFromDescription, type Method } from '../methods/index.js';
import { expandShorthand } from '../train/options/recipe.js';
import { methodFlagNames, withRecipeFlags, type RecipeFlags } from './recipe-flags.js';

/**
 * The method that flags alone describe, dense where only options of every method are given; undefined without any.
 * @throws ERR_COMPACT_ARGUMENT for a key of --set that is none of the method's, and what methods throw
 */
export function methodOfFlags(given: RecipeFlags): Method | undefined {
  const foreign = given.set?.find((assignment) => !/^\s*method[.=]/.test(assignment));
  if (foreign !== undefined)
    throw compactError('ERR_COMPACT_ARGUMENT', '--set takes options of the method here', {
      op: '--set',
      expected: 'method.KEY=VALUE',
      received: foreign,
    });
  const own = Object.fromEntries(methodFlagNames.map((name) => [name, given[name]]));
  const file = { name: 'the command line', values: {}, locate: () => 'the command line' };
  const { method } = withRecipeFlags(file, { ...own, set: given.set }).values;
  if (method === undefined) return undefined;
  return methodFromDescription({ name: 'dense', ...(expandShorthand('method', method) as object) });
}
