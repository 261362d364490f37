import { compactError } from '../errors.js';
import { checkValue, ownValues, path } from '../options.js';
import { fineTuneFromRecipe } from '../train/options/fine-tune-recipe.js';
import type { FineTuneOptions } from '../train/index.js';
import { samplePrompts } from './sample-prompts.js';
import { presetModelFolder, type PresetModel } from './preset-model.js';

/** Where what a recipe of a job speaks of is. */
export interface JobFolders {
  /** The job's own. */
  readonly folder: string;
  /** Models that are made of presets. */
  readonly presetDirectory: string;
}

/** A process can be lost at any time: of what it has done, at most a tenth of the run is done again. */
const shareBetweenCheckpoints = 0.1;

/** What the queue decides, and not the recipe. */
const ofTheQueue = ['outputDirectory', 'resumeFromCheckpoint'];

/**
 * The options of `fineTune` that a job's recipe stands for: in the job's folder, from the latest checkpoint there. `model` may
 * also be `{ preset, seed }`, a model that is trained from scratch; `samplePrompts` is read by `samplePromptsOf`. Where nothing is said of it, a checkpoint is written
 * after each tenth of the run.
 * @param memoryLimitBytes what making the model of a preset may take. Default: what there is
 * @throws what `fineTuneFromRecipe` and `presetModelFolder` throw
 */
export async function jobOptions(
  recipe: unknown,
  { folder, presetDirectory }: JobFolders,
  memoryLimitBytes?: number,
): Promise<FineTuneOptions> {
  const { model, samplePrompts: _, ...values } = valuesOf(recipe);
  for (const name of ofTheQueue) if (values[name] !== undefined) throw decidedByTheQueue(name);
  return {
    saveSteps: shareBetweenCheckpoints,
    ...fineTuneFromRecipe({
      ...values,
      model: isSection(model)
        ? await presetModelFolder(presetDirectory, model, memoryLimitBytes)
        : checkValue(model, path, 'model'),
      outputDirectory: folder,
    }),
    resumeFromCheckpoint: 'auto',
  };
}

/**
 * What a job's model writes on from after each evaluation.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_VALUE
 */
export const samplePromptsOf = (recipe: unknown): readonly string[] =>
  checkValue(valuesOf(recipe)['samplePrompts'], samplePrompts, 'samplePrompts') ?? [];

const valuesOf = (recipe: unknown): Readonly<Record<string, unknown>> =>
  Object.fromEntries(ownValues(recipe, { what: 'a recipe of a job' }));

const isSection = (model: unknown): model is PresetModel => typeof model === 'object' && model !== null;

const decidedByTheQueue = (name: string): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `${name} is not an option of a job`, {
    op: name,
    expected: 'nothing: a job has a folder of its own, and goes on from its latest checkpoint',
    remedy: 'Leave it out',
  });
