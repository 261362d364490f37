import { z } from 'zod';
import { compactError, isCompactError, nearestName } from '../errors.js';
import { methodFromDescription } from '../methods/index.js';
import { llama, type LlamaConfig, type Model } from '../models/index.js';
import { learningRateScheduleNames } from '../optim/index.js';
import { blasChoices, graphChoices } from '../runtime/index.js';
import type { TrainerOptions } from '../train/index.js';
import { expandShorthand, isRecord, type RecipeFile } from './recipe-file.js';

/**
 * What a recipe may say: the words of TrainerOptions, with model, method and data as mappings. Unknown keys are
 * refused, so a typing error never trains with a default that nobody asked for.
 */

const count = z.int().positive();
const countOrZero = z.int().nonnegative();
const fraction = z.number().min(0).max(1);

const paths = z.union([z.string(), z.array(z.string())]);
const dataSchema = z.strictObject({
  train: paths,
  validation: paths.optional(),
  validationFraction: fraction.optional(),
  tokenizer: z.string().optional(),
  cacheDirectory: z.string().optional(),
} satisfies Record<keyof TrainerOptions['data'], z.ZodType>);

const recipeSchema = z.strictObject({
  // Models and methods know their own options and check them as they are made.
  model: z.record(z.string(), z.unknown()),
  method: z.record(z.string(), z.unknown()),
  data: dataSchema,
  outputDirectory: z.string().optional(),
  resumeFromCheckpoint: z.string().optional(),
  batchSize: count,
  sequenceLength: count,
  gradientAccumulationSteps: count.optional(),
  maxSteps: count,
  learningRate: z.number().positive(),
  embeddingLearningRate: z.number().nonnegative().optional(),
  headLearningRate: z.number().nonnegative().optional(),
  normLearningRate: z.number().nonnegative().optional(),
  lrSchedulerType: z.enum(learningRateScheduleNames).optional(),
  warmupSteps: countOrZero.optional(),
  warmupRatio: fraction.optional(),
  minLrRate: fraction.optional(),
  maxGradNorm: z.number().nonnegative().optional(),
  seed: countOrZero.optional(),
  dtype: z.enum(['f32', 'bf16']).optional(),
  gradientDtype: z.enum(['f32', 'bf16']).optional(),
  recompute: z.enum(['none', 'cheap', 'layer']).optional(),
  updatePlacement: z.enum(['layer', 'end']).optional(),
  lossChunkTokens: count.optional(),
  evalSteps: countOrZero.optional(),
  evalSequences: count.optional(),
  saveSteps: countOrZero.optional(),
  saveTotalLimit: countOrZero.optional(),
  loggingSteps: count.optional(),
  device: z.string().optional(),
  threads: count.optional(),
  instructionSet: z.string().optional(),
  blas: z.enum(blasChoices).optional(),
  graphs: z.enum(graphChoices).optional(),
  memoryLimitBytes: count.optional(),
} satisfies Record<Exclude<keyof TrainerOptions, 'signal'>, z.ZodType>);

type Recipe = z.infer<typeof recipeSchema>;

/**
 * The options of a trainer that a recipe describes, checked whole before anything starts.
 *
 * @throws ERR_COMPACT_CONFIG_UNKNOWN_KEY (with the nearest known key), ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK,
 *   ERR_COMPACT_MODEL_UNKNOWN
 */
export function trainerOptions(file: RecipeFile): TrainerOptions {
  const values = { ...file.values };
  for (const key of ['model', 'method', 'data'])
    if (key in values) values[key] = expandShorthand(key, values[key]);
  const checked = recipeSchema.safeParse(values);
  if (!checked.success) throw complaint(file, values, checked.error.issues);
  const { model, method, ...rest } = checked.data;
  return {
    ...rest,
    model: inSection(file, 'model', () => buildModel(model)),
    method: inSection(file, 'method', () => methodFromDescription(method)),
  };
}

function buildModel({ preset, ...config }: Recipe['model']): Model {
  return preset === undefined ? llama(config as unknown as LlamaConfig) : llama(preset as string, config);
}

/** Adds the place in the recipe to what a model or method says about its options. */
function inSection<T>(file: RecipeFile, section: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (!isCompactError(error)) throw error;
    const { code, what, op, expected, received, remedy } = error;
    const fields = { op, expected, received, remedy };
    throw compactError(code, `${file.locate([section, op ?? received ?? ''])}: ${what}`, fields);
  }
}

function complaint(
  file: RecipeFile,
  values: Record<string, unknown>,
  issues: readonly z.core.$ZodIssue[],
): Error {
  // A wrong name explains a missing one: unknown keys first.
  const issue = issues.find((candidate) => candidate.code === 'unrecognized_keys') ?? issues[0]!;
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys((path[0] === 'data' ? dataSchema : recipeSchema).shape);
    const key = issue.keys[0]!;
    const nearest = nearestName(key, known);
    return compactError(
      'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
      `${file.locate([...path, key])}: unknown key '${key}'`,
      {
        op: [...path, key].join('.'),
        expected: `one of ${known.join(', ')}`,
        received: key,
        remedy: nearest && `Did you mean '${nearest}'?`,
      },
    );
  }
  const key = path.join('.');
  const received = path.reduce<unknown>((value, part) => (isRecord(value) ? value[part] : undefined), values);
  if (received === undefined)
    return compactError('ERR_COMPACT_CONFIG_VALUE', `${file.name}: '${key}' is missing`, {
      op: key,
      remedy: `Add '${key}: ...' to the recipe, or give --set ${key}=...`,
    });
  return compactError('ERR_COMPACT_CONFIG_VALUE', `${file.locate(path)}: '${key}' is out of range`, {
    op: key,
    expected: issue.message.replace(/^Invalid (input|option): expected /, '').replace(/, received .*$/, ''),
    received: JSON.stringify(received),
  });
}
