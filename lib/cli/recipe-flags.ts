import { Option, type Command } from 'commander';
import { compactError } from '../errors.js';
import { bestModelMetrics } from '../train/evaluation/best-metric.js';
import { methodCatalogue } from '../methods/index.js';
import { blasChoices, graphChoices } from '../runtime/index.js';
import {
  byteCount,
  numberFromZero,
  positiveInteger,
  positiveNumber,
  ratio,
  weightFormat,
  wholeNumber,
} from './options.js';
import { setRecipeValue, type RecipeFile } from './recipe-file.js';

/** A flag that is short for `--set key=value`. */
interface RecipeFlag {
  readonly flags: string;
  readonly key: string;
  readonly description: string;
  readonly choices?: readonly string[];
  readonly parse?: (text: string) => unknown;
  /** Whether it decides what a plan needs, so that `plan` has it, too. */
  readonly plans?: true;
  /** The method that is meant by it where none is named. */
  readonly means?: string;
}

const dtypes = ['f32', 'bf16'] as const;
const stateFormats = ['f32', 'bf16', '8bit'] as const;
const { methods, optimizers } = methodCatalogue();
const namesOf = (entries: readonly { readonly name: string }[]): string[] => entries.map(({ name }) => name);

// prettier-ignore
const recipeFlags: readonly RecipeFlag[] = [
  { flags: '-m, --model <model>', key: 'model', plans: true,
    description: 'a preset (see compact-train ls), or the path of a config.json or of its folder' },
  { flags: '--from <folder>', key: 'baseModel', plans: true,
    description: 'weights to start from: a downloaded model, or a checkpoint; its config.json is the model' },
  { flags: '--adapter <folder>', key: 'adapter', description: 'adapters of PEFT to start from, of the weights of --from' },
  // A method comes before its options: the order in which flags are applied.
  { flags: '--method <method>', key: 'method', choices: namesOf(methods), plans: true,
    description: 'method, with its defaults; see compact-train methods' },
  { flags: '--optimizer <optimizer>', key: 'method.optimizer', choices: namesOf(optimizers), plans: true,
    description: 'how gradients become steps' },
  { flags: '-r, --rank-ratio <ratio>', key: 'method.rankRatio', parse: ratio, plans: true, means: 'compact',
    description: "rank as a share of a layer's input width, e.g. 0.25 or 1/4 (compact)" },
  { flags: '--rank <count>', key: 'method.rank', parse: positiveInteger, plans: true, means: 'compact',
    description: 'rank as a count, instead of the ratio (compact)' },
  { flags: '--store <store>', key: 'method.store', choices: ['stored', 'lazy'], plans: true, means: 'compact',
    description: 'keep compressed inputs, or rebuild them in backward (compact)' },
  { flags: '--sharing <sharing>', key: 'method.sharing', choices: ['input', 'weight'], plans: true, means: 'compact',
    description: 'one projection for each layer input, or for each weight (compact)' },
  { flags: '--state-format <type>', key: 'method.stateFormat', choices: stateFormats, plans: true,
    description: "how the optimizer's states are held" },
  { flags: '--weights <format>', key: 'method.weights', parse: weightFormat, plans: true,
    description: 'of linear layers: bf16 (as --dtype says), int8, int8-aware (learns to be rounded), nf4 where they are not trained' },
  { flags: '-d, --data <path>', key: 'data.train',
    description: 'text to train on: a file, a folder, a packaged corpus' },
  { flags: '--tokenizer <path>', key: 'data.tokenizer',
    description: 'bytes, a tokenizer.json, or a folder that holds one' },
  { flags: '--text-field <key>', key: 'data.textField', description: 'key of the text in JSON lines' },
  { flags: '-b, --batch-size <sequences>', key: 'batchSize', parse: positiveInteger, plans: true,
    description: 'sequences of a micro-batch' },
  { flags: '-s, --sequence-length <tokens>', key: 'sequenceLength', parse: positiveInteger, plans: true,
    description: 'tokens of a sequence' },
  { flags: '-g, --gradient-accumulation-steps <count>', key: 'gradientAccumulationSteps', parse: positiveInteger,
    plans: true, description: 'micro-batches of a step' },
  { flags: '-n, --max-steps <steps>', key: 'maxSteps', parse: positiveInteger,
    description: 'optimizer steps of the whole run' },
  { flags: '-e, --num-train-epochs <epochs>', key: 'numTrainEpochs', parse: positiveNumber,
    description: 'passes over the training data, instead of steps' },
  { flags: '-l, --learning-rate <rate>', key: 'learningRate', parse: numberFromZero,
    description: 'peak learning rate' },
  { flags: '--embedding-learning-rate <rate>', key: 'embeddingLearningRate', parse: numberFromZero,
    description: 'peak learning rate of embeddings, if another' },
  { flags: '--head-learning-rate <rate>', key: 'headLearningRate', parse: numberFromZero,
    description: 'peak learning rate of the output head, if another' },
  { flags: '--norm-learning-rate <rate>', key: 'normLearningRate', parse: numberFromZero,
    description: 'peak learning rate of norms and biases, if another' },
  { flags: '--layer-learning-rate-decay <factor>', key: 'layerLearningRateDecay', parse: ratio,
    description: 'all rates are multiplied by it once more in each layer nearer to the input' },
  { flags: '--max-grad-norm <norm>', key: 'maxGradNorm', parse: numberFromZero, plans: true,
    description: "clips the gradient's global norm; 0 does not clip" },
  { flags: '--dtype <type>', key: 'dtype', choices: dtypes, plans: true,
    description: 'of weights and activations' },
  { flags: '--recompute <policy>', key: 'recompute', choices: ['none', 'cheap', 'layer'], plans: true,
    description: 'what backward rebuilds' },
  { flags: '--seed <number>', key: 'seed', parse: wholeNumber, description: 'of weights, data order and rounding' },
  { flags: '--eval-steps <steps>', key: 'evalSteps', parse: numberFromZero,
    description: 'steps between evaluations, or below 1 their share of the run' },
  { flags: '--metric-for-best-model <metric>', key: 'metricForBestModel', choices: bestModelMetrics,
    description: 'what evaluations are compared by' },
  { flags: '--early-stopping-patience <evaluations>', key: 'earlyStoppingPatience', parse: positiveInteger,
    description: 'ends after so many evaluations in a row that are not the best' },
  { flags: '--load-best-model-at-end', key: 'loadBestModelAtEnd',
    description: 'ends with the weights of the best evaluation' },
  { flags: '--save-steps <steps>', key: 'saveSteps', parse: numberFromZero,
    description: 'steps between checkpoints, or below 1 their share of the run' },
  { flags: '--logging-steps <steps>', key: 'loggingSteps', parse: positiveInteger,
    description: 'steps between lines of a log' },
  { flags: '--logging-directory <folder>', key: 'loggingDirectory', description: 'for event files of TensorBoard' },
  { flags: '-o, --output-directory <folder>', key: 'outputDirectory', description: 'for checkpoints and metrics' },
  { flags: '--resume-from-checkpoint <where>', key: 'resumeFromCheckpoint',
    description: 'a checkpoint folder, latest, or auto (latest if there is one)' },
  { flags: '-t, --threads <count>', key: 'threads', parse: positiveInteger, plans: true, description: 'CPU threads' },
  { flags: '--device <device>', key: 'device', plans: true, description: 'cpu, cuda, cuda:N or auto' },
  { flags: '--blas <choice>', key: 'blas', choices: blasChoices,
    description: 'products on a GPU: own, vendor (cuBLASLt) or auto' },
  { flags: '--graphs <choice>', key: 'graphs', choices: graphChoices, description: 'runs as graphs on a GPU' },
  { flags: '--memory-limit <bytes>', key: 'memoryLimitBytes', parse: byteCount, plans: true,
    description: 'refuse what needs more, e.g. 8GiB' },
];

const isOfMethod = ({ key }: RecipeFlag): boolean => key.split('.')[0] === 'method';

/** What commander calls the flags that describe a method. */
export const methodFlagNames: readonly string[] = recipeFlags
  .filter(isOfMethod)
  .map(({ flags }) => new Option(flags).attributeName());

/** Keys that `finetune` has words of its own for. */
const notOfFineTuning = ['model', 'baseModel', 'data.train', 'data.textField'];

/**
 * Adds the flags of a recipe: all of them, those that decide what a plan needs, those that describe a method, or those of
 * fine-tuning.
 */
export function addRecipeFlags(
  command: Command,
  which: 'all' | 'plan' | 'method' | 'finetune' = 'all',
): Command {
  for (const flag of recipeFlags) {
    const { flags, key, description, choices, parse, plans } = flag;
    if (which === 'plan' && plans !== true) continue;
    if (which === 'method' && !isOfMethod(flag)) continue;
    if (which === 'finetune' && notOfFineTuning.includes(key)) continue;
    const option = new Option(flags, `${description} [${key}]`);
    if (choices !== undefined) option.choices(choices);
    if (parse !== undefined) option.argParser(parse);
    command.addOption(option);
  }
  return command.option(
    '--set <key=value>',
    which === 'method'
      ? 'any option of the method, e.g. --set method.refreshInterval=200; may be repeated'
      : 'any key of the recipe, e.g. --set method.refreshInterval=200; may be repeated',
    (value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value],
  );
}

export type RecipeFlags = Readonly<Record<string, unknown>> & { readonly set?: readonly string[] };

/**
 * A recipe with the given flags written over it; --set comes last and wins. A rank, or another option of compact, means
 * compact where no method is named.
 * @throws ERR_COMPACT_ARGUMENT for an option that the method does not have
 */
export function withRecipeFlags(file: RecipeFile, given: RecipeFlags): RecipeFile {
  const { values } = file;
  const found = recipeFlags.flatMap((flag) => {
    const option = new Option(flag.flags);
    const value = given[option.attributeName()];
    return value === undefined ? [] : [{ ...flag, name: option.long!, value }];
  });
  const method = (given['method'] as string | undefined) ?? methodName(values);
  const foreign = found.find(({ key, means }) => means !== undefined && !hasOption(method ?? means, key));
  if (foreign !== undefined) throw notOf(method, foreign.name, given['method']);
  const { means } = found.find((flag) => flag.means !== undefined) ?? {};
  if (means !== undefined && method === undefined) values['method'] = { name: means };
  for (const { key, value } of found) {
    // The method that a recipe names already keeps the recipe's options.
    if (key === 'method' && value === methodName(values)) continue;
    setRecipeValue(values, `${key}=${JSON.stringify(value)}`);
  }
  useOneRank(
    values,
    found.map(({ key }) => key),
  );
  for (const assignment of given.set ?? []) setRecipeValue(values, assignment);
  const places = new Map(found.map(({ key, name }) => [key, name]));
  for (const assignment of given.set ?? []) {
    const [key = ''] = assignment.split('=');
    places.set(key.trim(), `--set ${key.trim()}`);
  }
  return { ...file, locate: (path) => placeOf(path, places) ?? file.locate(path) };
}

/** The flag that gave a key, or the section that the key is in. */
function placeOf(path: readonly string[], places: ReadonlyMap<string, string>): string | undefined {
  const key = path.join('.');
  return places.get(key) ?? (path[1] === 'preset' || path[1] === 'name' ? places.get(path[0]!) : undefined);
}

/** The rank that a flag gives takes the place of the one in the recipe, in whichever way that is given. */
function useOneRank(values: Record<string, unknown>, given: readonly string[]): void {
  const { method } = values;
  if (typeof method !== 'object' || method === null) return;
  const ranks = ['rank', 'rankRatio'] as const;
  const isGiven = ranks.map((name) => given.includes(`method.${name}`));
  if (isGiven[0] === isGiven[1]) return;
  delete (method as Record<string, unknown>)[ranks[isGiven[0] ? 1 : 0]];
}

/** The method that is named, in either form. */
export function methodName({ method }: Record<string, unknown>): unknown {
  return typeof method === 'object' && method !== null ? (method as { name?: unknown }).name : method;
}

/** Whether a method has the option of a key below `method`; of unknown methods others complain. */
function hasOption(method: unknown, key: string): boolean {
  const known = methods.find(({ name }) => name === method);
  return known?.options.some(({ name }) => key === `method.${name}`) ?? true;
}

function notOf(method: unknown, name: string, flag: unknown): Error {
  const remedy = `${flag === undefined ? `The recipe says ${String(method)}: add` : 'Give'} --method compact, or leave out ${name}`;
  return compactError('ERR_COMPACT_ARGUMENT', `the method ${String(method)} has no use for ${name}`, {
    op: name,
    remedy,
  });
}
