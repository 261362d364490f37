import { oneOf, optional, type OptionTable } from '../../options.js';
import * as optimizers from './index.js';
import type { OptimizerDefinition } from './optimizer.js';
import { stepTable } from './step.js';

/** Name of an optimizer. */
export type OptimizerName = (typeof optimizers)[keyof typeof optimizers]['name'];

/** Every optimizer by name. */
export const optimizerDefinitions: ReadonlyMap<string, OptimizerDefinition> = new Map(
  Object.values(optimizers as unknown as Readonly<Record<string, OptimizerDefinition>>).map((definition) => [
    definition.name,
    definition,
  ]),
);

/** The choice of an optimizer among some of them, or all. */
export function optimizerRowOf(names?: readonly [OptimizerName, ...OptimizerName[]]) {
  const [first, choices] =
    names === undefined ? ['adamw', [...optimizerDefinitions.keys()]] : [names[0], names];
  return optional(oneOf(choices), first);
}

/** All that a step by an optimizer can be told: options of its own and those of every step. */
export function rowsOfOptimizer(name: OptimizerName): OptionTable<Record<string, unknown>> {
  const { table, stateFormats = ['f32', 'bf16'] } = optimizerDefinitions.get(name)!;
  const stateFormat = optional(oneOf(stateFormats), stateFormats[0]);
  return { ...stepTable, stateFormat, ...(table as OptionTable<Record<string, unknown>>) };
}
