import { compact, methodFromDescription } from '../../methods/index.js';
import type { Method } from '../../methods/index.js';
import { expandShorthand, inSection } from '../../train/options/recipe.js';
import { usualRate } from '../../train/fine-tune.js';
import { ApiError } from '../api-error.js';
import type { StoredFile } from '../files/file-store.js';
import type { ModelEntry } from '../models/model-catalogue.js';
import { checkCompactOptions } from './compact-options.js';
import type { JobBody } from './job-body.js';
import type { Hyperparameters, JobDetails } from './job-details.js';

/** A file of a job, and where it is. */
export interface JobFile {
  readonly file: StoredFile;
  readonly path: string;
}

export interface JobParts {
  readonly model: ModelEntry;
  readonly training: JobFile;
  readonly validation: JobFile | undefined;
}

type Values = Readonly<Record<string, unknown>>;

/** Of a job that does not say one. */
const usualSeed = 42;
/** How much faster a preset, which has learnt nothing yet, learns than what is trained further. */
const scratchFactor = 50;

/**
 * What a job's body says in the words of a recipe, and what of it the job keeps.
 * @throws ApiError invalid_value where it says something twice, or a method and a file do not go together; ERR_COMPACT_CONFIG_*
 */
export function jobRecipe(
  body: JobBody,
  { model, training, validation }: JobParts,
): { readonly recipe: Values; readonly details: JobDetails; readonly priority: number } {
  const { priority, ...chosen } = checkCompactOptions(body.compact ?? {});
  const isPaired = training.file.kind === 'preference';
  const { type, hyperparameters } = methodOf(body, isPaired);
  const method = chosenMethod(chosen['method']);
  const seed = body.seed ?? usualSeed;
  const recipe = {
    ...chosen,
    ...fromHyperparameters(hyperparameters, chosen, { isPaired, method, isNew: 'preset' in model.source }),
    model: 'folder' in model.source ? model.source.folder : model.source,
    seed,
    data: {
      ...(chosen['data'] as Values | undefined),
      ...(isNumber(hyperparameters.batch_size) && { packing: false }),
      records: training.path,
      format: 'jsonl',
      ...(validation && { validation: validation.path }),
    },
  };
  const details: JobDetails = {
    model: model.id,
    baseModel: model.baseModel,
    trainingFile: training.file.id,
    validationFile: validation?.file.id ?? null,
    method: type,
    hyperparameters,
    seed,
    suffix: body.suffix ?? null,
    metadata: body.metadata ?? null,
    warnings:
      (body.integrations ?? []).length > 0
        ? ['Integrations are passed over: this server sends nothing to other services']
        : [],
  };
  return { recipe, details, priority: (priority as number | undefined) ?? 0 };
}

/** How a job learns, and its numbers, from whichever of the two places of the API they stand in. */
function methodOf(
  { method, hyperparameters: older }: JobBody,
  isPaired: boolean,
): { readonly type: 'supervised' | 'dpo'; readonly hyperparameters: Hyperparameters } {
  const type = method?.type ?? (isPaired ? 'dpo' : 'supervised');
  const other = type === 'dpo' ? 'supervised' : 'dpo';
  if (method?.[other] !== undefined)
    throw new ApiError('invalid_value', `method.${other} says nothing of the method ${type}`, {
      param: `method.${other}`,
    });
  if ((type === 'dpo') !== isPaired)
    throw new ApiError(
      'invalid_file_format',
      isPaired
        ? 'The training file holds preference pairs, which the method dpo learns from'
        : 'The method dpo learns from preference pairs, { prompt, chosen, rejected }, and the training file holds none',
      { param: 'training_file' },
    );
  const newer = method?.[type]?.hyperparameters;
  if (newer !== undefined && older !== undefined)
    throw new ApiError('invalid_value', `hyperparameters stand in method.${type} already. Say them once`, {
      param: 'hyperparameters',
    });
  return { type, hyperparameters: newer ?? older ?? {} };
}

function fromHyperparameters(
  { n_epochs: numEpochs, batch_size: batchSize, learning_rate_multiplier: multiplier, beta }: Hyperparameters,
  chosen: Values,
  {
    isPaired,
    method,
    isNew,
  }: { readonly isPaired: boolean; readonly method: Method; readonly isNew: boolean },
): Values {
  const rate = (isNew ? scratchFactor : 1) * usualRate(method, isPaired);
  const values: Record<string, unknown> = isNew ? { learningRate: chosen['learningRate'] ?? rate } : {};
  if (isNumber(numEpochs)) {
    sayOnce('n_epochs', ['numTrainEpochs', 'maxSteps'], chosen);
    values['numTrainEpochs'] = numEpochs;
  }
  if (isNumber(batchSize)) {
    sayOnce('batch_size', ['batchSize', 'gradientAccumulationSteps'], chosen);
    // A pair is two sequences; without packing, which goes with it, an example is a sequence.
    values['batchSize'] = batchSize * (isPaired ? 2 : 1);
  }
  if (isNumber(multiplier)) {
    sayOnce('learning_rate_multiplier', ['learningRate'], chosen);
    values['learningRate'] = multiplier * rate;
  }
  if (isNumber(beta)) {
    sayOnce('beta', ['preference'], chosen);
    values['preference'] = { beta };
  }
  return values;
}

function sayOnce(name: string, others: readonly string[], chosen: Values): void {
  const other = others.find((one) => chosen[one] !== undefined);
  if (other === undefined) return;
  throw new ApiError('invalid_value', `${name} and compact.${other} say the same. Leave one of them out`, {
    param: `compact.${other}`,
  });
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

/** Compact, unless another is chosen: as `fineTune` has it. */
function chosenMethod(method: unknown): Method {
  if (method === undefined) return compact();
  return inSection('compact.method', () =>
    methodFromDescription(expandShorthand('method', method) as Values),
  );
}
