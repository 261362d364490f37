import * as v from 'valibot';
import type { Value } from '../graph/index.js';
import { checkOptions, checkValue, oneOf, optional, ownValues, section, wholeNumber } from '../options.js';
import { frozenRow } from './frozen.js';
import { optimizerDefinitions, rowsOfOptimizer, type OptimizerName } from './optimizers/definitions.js';
import type { OptimizerSettings } from './optimizers/index.js';
import type { Optimizer } from './optimizers/optimizer.js';
import { stepTable, type StepOptions } from './optimizers/step.js';

/** The optimizer of the embedding table and the output head with options of its own; 'frozen' trains neither. */
export interface EmbeddingOptimizerSettings extends OptimizerSettings, Partial<StepOptions> {
  readonly name: OptimizerName | 'frozen';
}

export const embeddingOptimizerRow = optional(
  v.union(
    [v.string(), section],
    "the name of an optimizer, 'frozen', or { name, ...options of that optimizer }",
  ),
);

export const embeddingChunkRow = optional(wholeNumber(1));

/** Rows of what every method can be told beside its optimizer. */
export const commonTable = {
  embeddingOptimizer: embeddingOptimizerRow,
  embeddingChunk: embeddingChunkRow,
  frozen: frozenRow,
  ...stepTable,
};

const nameRow = oneOf([...optimizerDefinitions.keys(), 'frozen']);
/** What an embedding optimizer shares with the method's own unless it is told otherwise. */
const shared = ['weightDecay', 'stochasticRounding', 'seed'] as const;

export const isEmbeddingOrHead = ({ parameter }: Value): boolean =>
  parameter!.role === 'embedding' || parameter!.role === 'head';

/**
 * The option with every default filled in; undefined: the method's own optimizer.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 */
export function resolveEmbeddingOptimizer(
  given: unknown,
  ofMethod: StepOptions,
  optimizerDefaults: Readonly<Partial<Record<OptimizerName, OptimizerSettings>>>,
): EmbeddingOptimizerSettings | undefined {
  if (given === undefined) return undefined;
  const what = 'embeddingOptimizer';
  const values = ownValues(typeof given === 'string' ? { name: given } : given, {
    what,
    prefix: `${what}.`,
  });
  const name = checkValue(values.get('name'), nameRow, what) as EmbeddingOptimizerSettings['name'];
  const rows = { name: nameRow, ...(name === 'frozen' ? {} : rowsOfOptimizer(name)) };
  const inherited = name === 'frozen' ? {} : Object.fromEntries(shared.map((key) => [key, ofMethod[key]]));
  const ofName = name === 'frozen' ? {} : optimizerDefaults[name];
  const all = { ...inherited, ...ofName, ...Object.fromEntries(values) };
  return checkOptions(all, rows, { what, prefix: `${what}.` }) as unknown as EmbeddingOptimizerSettings;
}

/** Undefined where embedding and head are not trained. */
export const embeddingOptimizerOf = ({
  name,
  ...options
}: EmbeddingOptimizerSettings): Optimizer | undefined =>
  name === 'frozen' ? undefined : optimizerDefinitions.get(name)!.create(options as StepOptions);
