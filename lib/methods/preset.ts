import { compactError } from '../errors.js';
import { parametersOf, type Graph, type Program, type Value } from '../graph/index.js';
import {
  checkOptions,
  checkValue,
  optionInfos,
  ownValues,
  type CheckContext,
  type OptionInfo,
  type OptionTable,
} from '../options.js';
import type { Adaptation } from './adaptation/adaptation.js';
import type { ClockRules } from './clock.js';
import type { GradientSpace } from './gradient-space/gradient-space.js';
import { rankCodes } from './rank-options.js';
import type { Method } from './method.js';
import {
  embeddingChunkRow,
  embeddingOptimizerOf,
  embeddingOptimizerRow,
  isEmbeddingOrHead,
  resolveEmbeddingOptimizer,
  type EmbeddingOptimizerSettings,
} from './embedding-optimizer.js';
import { frozenRow, isFrozenBy, requireFrozen } from './frozen.js';
import {
  optimizerDefinitions,
  optimizerRowOf,
  rowsOfOptimizer,
  type OptimizerName,
} from './optimizers/definitions.js';
import type { OptimizerSettings } from './optimizers/index.js';
import type { Optimizer } from './optimizers/optimizer.js';
import { statesOfRun, type StepOptions } from './optimizers/step.js';
import { codecOf, resolveSaving, savingTable, type SavingOptions } from './saving/saving-options.js';
import { requireSteps, stepwiseGradient } from './saving/stepwise-slopes.js';
import type { Saving } from './saving/saving.js';
import { weightRewrite, weightTable, type WeightOptions } from './weights/weight-options.js';

/** What every method can be told: the optimizer with its own options, and what all steps have in common. */
export interface MethodOptions extends OptimizerSettings, Partial<StepOptions>, WeightOptions, SavingOptions {
  /** How gradients become steps. Default 'adamw'. */
  readonly optimizer?: OptimizerName;
  /**
   * The optimizer of the embedding table and the output head, by name or with options of its own; 'frozen' trains
   * neither. For large vocabularies, whose states are as large as those of many layers. Default: `optimizer`.
   */
  readonly embeddingOptimizer?: EmbeddingOptimizerSettings['name'] | EmbeddingOptimizerSettings;
  /**
   * Rows (vocabulary entries) of the embedding table and of the output head whose gradients are made and used up at a
   * time, rounded up to whole 256 bytes: for large vocabularies, whose whole gradients can be the peak of memory. Each part
   * is a matrix of its own to the optimizer. Absent: the whole gradient.
   */
  readonly embeddingChunk?: number;
  /**
   * Parameters that are not trained, by the names that checkpoints have for them, in which * stands for any text:
   * ['model.layers.0.*'] is the first layer. They have no gradient and no states. Absent: what the method trains.
   */
  readonly frozen?: readonly string[];
}

/** One choice on each axis: what a method is put together from. */
export interface MethodParts {
  /** Absent: layers compute what the model says, and all parameters are trained. */
  readonly adaptation?: Adaptation;
  readonly gradientSpace: GradientSpace;
  readonly saving: Pick<Saving, 'recompute'>;
}

/** A method by its published name: choices on the axes with the words and defaults of its paper. */
export interface PresetDefinition<Options extends object, Resolved extends object = Required<Options>> {
  readonly name: string;
  /** Where it was published. */
  readonly source: string;
  /** Options of its own. */
  readonly table: OptionTable<Options>;
  /** Error codes of wrong values of single options, beside those of ranks. Default ERR_COMPACT_CONFIG_VALUE. */
  readonly codes?: CheckContext['codes'];
  /** Whether optimizers work on compressed gradients; those that need full ones are refused. Absent: they do not. */
  compressesGradients?(options: Options): boolean;
  /** What to do about an option that it does not have. */
  readonly remedyOf?: CheckContext['remedyOf'];
  /** Optimizers that it takes, the default first. Absent: all, and AdamW. */
  readonly optimizers?: readonly [OptimizerName, ...OptimizerName[]];
  /** Its gradients are used up as backward makes them: nothing may need all of them at a time. */
  readonly updatesInBackward?: true;
  /** Defaults of optimizers that differ from their own, by optimizer. */
  readonly optimizerDefaults?: Readonly<Partial<Record<OptimizerName, OptimizerSettings>>>;
  /** Defaults of its own options that differ where gradients are compressed and the optimizer keeps nothing of them. */
  readonly statelessDefaults?: Partial<Options>;
  /** The default of `weights`. Default 'dtype'. */
  readonly weights?: WeightOptions['weights'];
  /** The default of `savedActivations`. Absent: none. */
  readonly savedActivations?: SavingOptions['savedActivations'];
  /** What options say of each other. Absent: nothing. */
  resolve?(checked: Options): Resolved;
  /** The options of a run under the conditions of the paper's memory tables, as far as they differ. */
  readonly published?: Options & Partial<StepOptions>;
  compose(options: Resolved & StepOptions & Pick<MethodOptions, 'frozen'>, optimizer: Optimizer): MethodParts;
}

/** Makes methods from options, and says what it is. */
export type Preset<T extends object> = ((options?: T) => Method) & { readonly info: PresetInfo };

/** What a preset is called, where it was published, and what it can be told beside the options of every method. */
export interface PresetInfo {
  readonly name: string;
  readonly source: string;
  /** Options of its own. */
  readonly options: readonly OptionInfo[];
}

/** A preset that checks its options, the optimizer's and those of every step in one go. */
export function preset<Options extends object, Resolved extends object>(
  definition: PresetDefinition<Options, Resolved>,
): Preset<Options & MethodOptions> {
  const create = (given: Options & MethodOptions = {} as Options): Method => {
    const options = checkMethodOptions(definition, given);
    const optimizerDefinition = optimizerDefinitions.get(options.optimizer)!;
    const optimizer = optimizerDefinition.create(options);
    const parts = definition.compose(options, optimizer);
    const { adaptation, gradientSpace, saving } = parts;
    const { embeddingOptimizer, embeddingChunk, frozen = [] } = options;
    const hasSteps = options.activationSlopes === 'stepwise';
    const isFrozen = isFrozenBy(frozen);
    const ofEmbeddings =
      embeddingOptimizer === undefined ? optimizer : embeddingOptimizerOf(embeddingOptimizer);
    const isTrainedBy =
      (form: Pick<Adaptation, 'isTrained'> | undefined) =>
      (parameter: Value): boolean =>
        !isFrozen(parameter) &&
        (ofEmbeddings !== undefined || !isEmbeddingOrHead(parameter)) &&
        (form?.isTrained(parameter) ?? true);
    const forms = [adaptation, ...Object.values(adaptation?.variants ?? {})].map(isTrainedBy);
    const isEverTrained = (parameter: Value): boolean => forms.some((isTrained) => isTrained(parameter));
    const rewrites = [
      requireTargets(definition.name, gradientSpace),
      embeddingChunk === undefined ? undefined : requireTrainedTable(definition.name, isEverTrained),
      adaptation?.rewriteForward,
      frozen.length === 0 ? undefined : requireFrozen(definition.name, frozen, isEverTrained),
      hasSteps ? requireSteps(definition.name) : undefined,
      weightRewrite(definition.name, options, parts, optimizerDefinition),
    ].filter((rewrite) => rewrite !== undefined);
    const updateOf = (space: Pick<GradientSpace, 'update'>): Pick<Method, 'update'> => ({
      update: (_graph, parameter, gradient, { gradientScale }) =>
        space.update(
          parameter,
          gradient,
          { gradientScale, stateStep: adaptation?.stateStep?.(parameter) ?? statesOfRun.stateStep },
          isEmbeddingOrHead(parameter) ? ofEmbeddings! : optimizer,
        ),
    });
    return {
      name: definition.name,
      rewriteForward: (forward) => rewrites.reduce((program, rewrite) => rewrite(program), forward),
      isTrained: isTrainedBy(adaptation),
      prepare: adaptation?.prepare,
      weightGradient: gradientSpace.weightGradient,
      gradient: hasSteps ? stepwiseGradient : undefined,
      gradientRows: (parameter) => (isEmbeddingOrHead(parameter) ? embeddingChunk : undefined),
      ...updateOf(gradientSpace),
      saving: { ...saving, codec: codecOf(options) },
      updatesInBackward: definition.updatesInBackward,
      variants: {
        ...mapValues(gradientSpace.variants ?? {}, updateOf),
        ...mapValues(adaptation?.variants ?? {}, (form) => ({ isTrained: isTrainedBy(form) })),
      },
      clocks: {
        ...adaptation?.clocks,
        ...mapValues(gradientSpace.clocks ?? {}, ofTrained(isEverTrained)),
        ...ofEmbeddings?.clocks,
        ...optimizer.clocks,
      },
      published: () => {
        const { stateFormats = ['bf16'] } = optimizerDefinition;
        const isKept = options.stateFormat === '8bit' || !stateFormats.includes('bf16');
        const stateFormat = isKept ? options.stateFormat : 'bf16';
        return create({ ...given, stateFormat, ...definition.published });
      },
      describe: () => ({ name: definition.name, ...options }) as Readonly<Record<string, unknown>>,
    };
  };
  const { name, source, table } = definition;
  return Object.assign(create, { info: { name, source, options: optionInfos(table) } });
}

const mapValues = <T, U>(values: Readonly<Record<string, T>>, of: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, of(value)]));

/** A clock whose entries have to do with parameters that are trained alone: others have no states. */
const ofTrained =
  (isTrained: (parameter: Value) => boolean) =>
  ({ entries = {}, ...rules }: ClockRules): ClockRules => ({
    ...rules,
    entries: mapValues(entries, (build) => (graph: Graph, parameter: Value) => {
      if (isTrained(parameter)) build(graph, parameter);
    }),
  });

/** A program as it is, if it reads a weight that the method is for. */
const requireTargets =
  (method: string, { targets }: GradientSpace) =>
  (forward: Program): Program => {
    const roles = parametersOf(forward).map(({ parameter }) => parameter!.role);
    if (targets === undefined || roles.some((role) => targets.includes(role))) return forward;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method} has nothing to act on in this model`, {
      op: 'method',
      expected: `a model with weights for ${targets.join(', ')}`,
      received: `weights for ${[...new Set(roles)].join(', ')}`,
      remedy: 'Train it with method dense, or name other targetModules',
    });
  };

/** A program as it is, if it reads an embedding or a head that is trained. */
const requireTrainedTable =
  (method: string, isTrained: (parameter: Value) => boolean) =>
  (forward: Program): Program => {
    const tables = parametersOf(forward).filter(isEmbeddingOrHead);
    if (tables.some(isTrained)) return forward;
    throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method}: embeddingChunk has no gradient to cut`, {
      op: 'embeddingChunk',
      expected: 'an embedding or an output head that is trained',
      received: tables.length === 0 ? 'a model without either' : 'frozen tables',
      remedy: 'Leave out embeddingChunk, or choose another embeddingOptimizer or method',
    });
  };

function checkMethodOptions<Options extends object, Resolved extends object>(
  {
    name,
    table,
    codes,
    compressesGradients,
    remedyOf,
    optimizers,
    optimizerDefaults = {},
    statelessDefaults = {},
    weights,
    savedActivations,
    resolve,
  }: PresetDefinition<Options, Resolved>,
  given: unknown,
) {
  const values = ownValues(given, { what: name });
  const optimizerRow = optimizerRowOf(optimizers);
  const optimizer = checkValue(values.get('optimizer'), optimizerRow, 'optimizer') as OptimizerName;
  const rows = {
    ...table,
    optimizer: optimizerRow,
    embeddingOptimizer: embeddingOptimizerRow,
    embeddingChunk: embeddingChunkRow,
    frozen: frozenRow,
    ...weightTable(weights),
    ...savingTable(savedActivations),
    ...rowsOfOptimizer(optimizer),
  } as OptionTable<Record<string, unknown>>;
  const withDefaults = { ...optimizerDefaults[optimizer], ...Object.fromEntries(values) };
  const checked = checkOptions(withDefaults, rows, {
    what: name,
    codes: { ...rankCodes, ...codes },
    remedyOf,
  });
  const isCompressed = compressesGradients?.(checked as Options) ?? false;
  if (isCompressed) refuseFullGradients(name, optimizer);
  const isStateless = optimizerDefinitions.get(optimizer)!.isStateless?.(checked) ?? false;
  const others = Object.entries(isCompressed && isStateless ? statelessDefaults : {});
  const notGiven = others.filter(([key]) => values.get(key) === undefined);
  const settled = { ...checked, ...Object.fromEntries(notGiven) };
  const resolved = resolve?.(settled as unknown as Options) ?? settled;
  const ofStep = checked as unknown as StepOptions;
  const embeddingOptimizer = resolveEmbeddingOptimizer(
    checked['embeddingOptimizer'],
    ofStep,
    optimizerDefaults,
  );
  return {
    ...checked,
    ...resolved,
    ...resolveSaving(checked),
    ...(embeddingOptimizer && { embeddingOptimizer }),
  } as unknown as Resolved &
    StepOptions &
    Required<WeightOptions> &
    SavingOptions & {
      readonly optimizer: OptimizerName;
      readonly embeddingOptimizer?: EmbeddingOptimizerSettings;
      readonly embeddingChunk?: number;
      readonly frozen?: readonly string[];
    };
}

function refuseFullGradients(name: string, optimizer: OptimizerName): void {
  const because = optimizerDefinitions.get(optimizer)!.fullGradientBecause;
  if (because === undefined) return;
  const others = [...optimizerDefinitions.values()].filter(
    (other) => other.fullGradientBecause === undefined,
  );
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${optimizer} does not work with ${name}: ${because}`, {
    op: 'optimizer',
    expected: `an optimizer of compressed gradients: ${others.map((other) => other.name).join(', ')}`,
    received: optimizer,
    remedy: 'Choose another optimizer, or a method of full gradients, such as dense',
  });
}
