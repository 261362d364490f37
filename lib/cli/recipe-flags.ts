import { Option, type Command } from 'commander';
import { byteCount } from './options.js';
import { setRecipeValue } from './recipe-file.js';

/** Flags of `train` that are short for `--set key=value`. Order matters: a method comes before its options. */
const flags = [
  { flag: '--model <preset>', key: 'model', description: 'another model' },
  {
    flag: '--method <method>',
    key: 'method',
    description: 'another method, with its defaults: dense or compact',
  },
  {
    flag: '--rank-ratio <ratio>',
    key: 'method.rankRatio',
    description: "rank as a share of a layer's input width",
  },
  {
    flag: '--data <path>',
    key: 'data.train',
    description: 'text to train on: a file, a folder, a packaged corpus',
  },
  { flag: '--batch-size <sequences>', key: 'batchSize', description: 'sequences of a micro-batch' },
  { flag: '--sequence-length <tokens>', key: 'sequenceLength', description: 'tokens of a sequence' },
  { flag: '--max-steps <steps>', key: 'maxSteps', description: 'optimizer steps of the whole run' },
  { flag: '--learning-rate <rate>', key: 'learningRate', description: 'peak learning rate' },
  {
    flag: '--embedding-learning-rate <rate>',
    key: 'embeddingLearningRate',
    description: 'peak learning rate of embeddings, if another',
  },
  {
    flag: '--head-learning-rate <rate>',
    key: 'headLearningRate',
    description: 'peak learning rate of the output head, if another',
  },
  {
    flag: '--norm-learning-rate <rate>',
    key: 'normLearningRate',
    description: 'peak learning rate of norms and biases, if another',
  },
  { flag: '--dtype <type>', key: 'dtype', description: 'of weights and activations: f32 or bf16' },
  {
    flag: '--recompute <policy>',
    key: 'recompute',
    description: 'what backward rebuilds: none, cheap or layer',
  },
  { flag: '--seed <number>', key: 'seed', description: 'of weights, data order and rounding' },
  { flag: '--threads <count>', key: 'threads', description: 'CPU threads' },
  { flag: '--device <device>', key: 'device', description: 'cpu, cuda, cuda:N or auto' },
  { flag: '--blas <choice>', key: 'blas', description: 'products on a GPU: own, vendor (cuBLASLt) or auto' },
  { flag: '--graphs <choice>', key: 'graphs', description: 'runs as graphs on a GPU: auto, on or off' },
  { flag: '--output-directory <folder>', key: 'outputDirectory', description: 'for checkpoints and metrics' },
  {
    flag: '--resume-from-checkpoint <where>',
    key: 'resumeFromCheckpoint',
    description: 'a checkpoint folder, latest, or auto (latest if there is one)',
  },
] as const;

export function addRecipeFlags(command: Command): Command {
  for (const { flag, key, description } of flags) command.option(flag, `${description} (${key})`);
  return command
    .option(
      '--memory-limit <bytes>',
      'refuse to start if the plan needs more, e.g. 8GiB (memoryLimitBytes)',
      byteCount,
    )
    .option(
      '--set <key=value>',
      'any key of the recipe, e.g. --set method.refreshInterval=200; may be repeated',
      collect,
      [],
    );
}

export type RecipeFlags = Readonly<Record<string, unknown>> & {
  readonly set: readonly string[];
  readonly memoryLimit?: number;
};

/** Writes the given flags over a recipe's values; --set comes last and wins. */
export function applyRecipeFlags(values: Record<string, unknown>, given: RecipeFlags): void {
  for (const { flag, key } of flags) {
    const value = given[new Option(flag).attributeName()];
    if (typeof value === 'string') setRecipeValue(values, `${key}=${value}`);
  }
  if (given.memoryLimit !== undefined) values['memoryLimitBytes'] = given.memoryLimit;
  for (const assignment of given.set) setRecipeValue(values, assignment);
}

const collect = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];
