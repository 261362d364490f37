import * as v from 'valibot';
import type { Plan, PlanEntry, PlanValue } from '../compile/index.js';
import { compactError } from '../errors.js';
import { numElements, scalarValue, type RuntimeScalar } from '../graph/index.js';
import { checkValue, ownValues } from '../options.js';
import { copyOfHostArray, findNamed, newHostArray } from './arguments.js';
import type { HostArray, RunOptions } from './types.js';

/** An entry of a plan, and what a run of it must be given. */
interface LoadedEntry {
  readonly entry: PlanEntry;
  readonly inputs: ReadonlyMap<string, PlanValue>;
  readonly outputs: readonly PlanValue[];
  /** Those that it uses. */
  readonly scalars: ReadonlySet<RuntimeScalar>;
  /** Slots of all scalars of the plan. */
  readonly slots: ReadonlyMap<RuntimeScalar, number>;
}

const finiteNumber = v.pipe(v.number('a finite number'), v.finite('a finite number'));

/** The plan that an engine holds, indexed by name, for checks before anything is queued. */
export class LoadedPlan {
  readonly #persistent: ReadonlyMap<string, PlanValue>;
  readonly #entries: ReadonlyMap<string, LoadedEntry>;

  constructor(plan: Plan) {
    this.#persistent = byName(plan.values.filter(({ region }) => region === 'persistent'));
    const slots = new Map(plan.scalars.map((name, slot) => [name, slot]));
    const valuesOf = (ids: readonly number[]) => ids.map((id) => plan.values[id]!);
    this.#entries = new Map(
      Object.values(plan.entries).map((entry) => [
        entry.name,
        {
          entry,
          inputs: byName(valuesOf(entry.inputs)),
          outputs: valuesOf(entry.outputs),
          scalars: scalarsOf(entry),
          slots,
        },
      ]),
    );
  }

  persistent(name: string): PlanValue {
    return findNamed(this.#persistent, name, 'ERR_COMPACT_VALUE_UNKNOWN', 'persistent value');
  }

  entry(name: string): LoadedEntry {
    return findNamed(this.#entries, name, 'ERR_COMPACT_ENTRY_UNKNOWN', 'entry');
  }
}

/** The values of the runtime scalars in slot order; those that are neither given nor used by the entry are 0. */
export function scalarSlots(
  { entry, scalars, slots: slotsByName }: LoadedEntry,
  given: RunOptions['scalars'] = {},
): Float64Array {
  const slots = new Float64Array(slotsByName.size);
  const values: Partial<Record<RuntimeScalar, number>> = {};
  for (const [key, value] of ownValues(given, { what: 'Engine.run', prefix: 'scalars.' })) {
    const name = key as RuntimeScalar;
    const slot = findNamed(slotsByName, name, 'ERR_COMPACT_ARGUMENT', 'runtime scalar');
    values[name] = slots[slot] = checkValue(value, finiteNumber, name, 'ERR_COMPACT_ARGUMENT');
  }
  for (const name of scalars) {
    const value = scalarValue(values, name);
    if (value === undefined)
      throw compactError('ERR_COMPACT_ARGUMENT', `the entry ${entry.name} needs the scalar ${name}`, {
        op: name,
        expected: `scalars: ${[...scalars].join(', ')}`,
        received: `no ${name}`,
      });
    slots[slotsByName.get(name)!] = value;
  }
  return slots;
}

/** Copies of the inputs in the entry's order, so that the caller may change its arrays at once. */
export function inputCopies({ entry, inputs }: LoadedEntry, given: RunOptions['inputs'] = {}): HostArray[] {
  const values = ownValues(given, { what: 'Engine.run', prefix: 'inputs.' });
  for (const name of values.keys())
    findNamed(inputs, name as string, 'ERR_COMPACT_VALUE_UNKNOWN', `input of ${entry.name}`);
  return [...inputs.values()].map(({ name, dtype, shape }) => {
    if (!values.has(name))
      throw compactError('ERR_COMPACT_ARGUMENT', `the entry ${entry.name} needs the input ${name}`, {
        op: name,
        expected: `${dtype} [${shape.join(', ')}]`,
        received: 'nothing',
      });
    const data = copyOfHostArray(name, values.get(name), dtype);
    if (data.length !== numElements(shape))
      throw compactError('ERR_COMPACT_SHAPE', `the input ${name} has the wrong size`, {
        op: name,
        expected: `${numElements(shape)} elements [${shape.join(', ')}]`,
        received: `${data.length} elements`,
      });
    return data;
  });
}

/** New arrays for the outputs, in the entry's order. */
export const outputArrays = ({ outputs }: LoadedEntry): HostArray[] =>
  outputs.map(({ dtype, shape }) => newHostArray(dtype, numElements(shape)));

const byName = (values: readonly PlanValue[]): ReadonlyMap<string, PlanValue> =>
  new Map(values.map((value) => [value.name, value]));

function scalarsOf(entry: PlanEntry): ReadonlySet<RuntimeScalar> {
  const scalars = new Set<RuntimeScalar>();
  for (const { attributes } of entry.instructions) {
    for (const attribute of Object.values(attributes))
      if (typeof attribute !== 'number') scalars.add(attribute.scalar);
  }
  return scalars;
}
