import type { Command } from 'commander';
import type { CommandContext } from '../command-context.js';
import { packagedRecipes, readRecipeFile } from '../recipe-file.js';
import { addRecipeFlags, withRecipeFlags, type RecipeFlags } from '../recipe-flags.js';
import { trainerOptions } from '../recipe.js';
import { runTraining } from '../run-training.js';
import { addHelpAfter } from '../text-layout.js';

const help = {
  prose: () => `
A recipe is a YAML file of training options; unknown keys are refused. Packaged recipes, by name:
${packagedRecipes().join(', ')}.

--json prints one object a line: type "start", then "step" for every step ("warning" between
them where something went wrong that the run does not depend on), and "result" last.

SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGUSR1, SIGUSR2: the running step ends, a checkpoint is saved, exit code 130, and
the command that goes on is printed. A second SIGINT or SIGTERM ends at once, unsaved.`,
  examples: [
    ['compact-train train quickstart'],
    ['compact-train train quickstart --method dense -l 0.001', 'the same text without compression'],
    ['compact-train train recipe.yaml -r 1/8 -n 2000', 'flags win over the recipe'],
    ['compact-train train recipe.yaml --from downloads/my-llama', 'start from weights that others have made'],
    [
      'compact-train train recipe.yaml --resume-from-checkpoint auto',
      'start, or go on after an interruption',
    ],
  ],
} as const;

export function registerTrain(program: Command, context: CommandContext): void {
  const command = program
    .command('train')
    .summary('train a model from a recipe')
    .description(
      'Trains a model as a recipe says: a path, or the name of a packaged recipe. Flags win over the recipe.',
    )
    .argument('<recipe>', 'path of a YAML file, or the name of a packaged recipe');
  addHelpAfter(command, help);
  addRecipeFlags(command).action(async (recipe: string, flags: RecipeFlags) => {
    const file = withRecipeFlags(readRecipeFile(recipe), flags);
    context.finish(await runTraining(trainerOptions(file), context));
  });
}
