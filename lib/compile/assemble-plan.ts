import { compactError } from '../errors.js';
import {
  type Program,
  type RowsOf,
  type RuntimeScalar,
  type Value,
  definitionOf,
  producersOf,
  valueBytes,
} from '../graph/index.js';
import { type Lifetimes, aligned } from './lifetimes.js';
import {
  type Lifetime,
  type Plan,
  type PlanEntry,
  type PlanInstruction,
  type PlanValue,
  type Region,
  planVersion,
} from './plan.js';
import type { Placement } from './placement.js';

/** An entry whose order, lifetimes and offsets are settled. */
export interface LaidOutEntry {
  readonly program: Program;
  readonly lifetimes: Lifetimes;
  /** Offsets of the storages, then of the workspaces. */
  readonly arena: Placement;
}

/**
 * Writes down the result of all stages; persistent values are packed in the order in which entries name them, those of
 * sessions at the start of the arena.
 * @param scalars runtime scalars that runs may be given, used or not
 */
export function assemblePlan(
  entries: readonly LaidOutEntry[],
  device: Plan['device'],
  scalars: readonly RuntimeScalar[],
): Plan {
  const values = new PlanValues(new Set(entries.flatMap(({ program }) => sessionValuesOf(program))));
  const planEntries = entries.map((entry) => assembleEntry(entry, values));
  const arenaBytes = Math.max(0, ...planEntries.map((entry) => entry.arenaBytes));
  const peakBytes = values.persistentBytes + arenaBytes;
  if (!Number.isSafeInteger(peakBytes))
    throw compactError('ERR_COMPACT_SHAPE', 'the run is larger than any memory', {
      expected: 'less than 2^53 bytes',
      received: `${peakBytes} bytes`,
      remedy: 'Check the sizes of the model, the batch and the sequences',
    });
  return {
    version: planVersion,
    device,
    scalars: [...new Set([...scalars, ...entries.flatMap(({ program }) => scalarsOf(program))])],
    values: values.all,
    entries: Object.fromEntries(planEntries.map((entry) => [entry.name, entry])),
    persistentBytes: values.persistentBytes,
    arenaBytes,
    arenaLowerBoundBytes: Math.max(0, ...planEntries.map((entry) => entry.arenaLowerBoundBytes)),
    peakBytes,
  };
}

const scalarsOf = ({ nodes }: Program): readonly RuntimeScalar[] =>
  nodes.flatMap(({ attributes }) =>
    Object.values(attributes).flatMap((attribute) =>
      typeof attribute === 'number' ? [] : [attribute.scalar],
    ),
  );

/** What an entry reads of a session; what it writes of one it reads. */
const sessionValuesOf = ({ nodes }: Program): readonly Value[] =>
  nodes.flatMap(({ inputs }) => inputs.filter((input) => input?.isSession === true) as Value[]);

class PlanValues {
  readonly all: PlanValue[] = [];
  readonly #persistent = new Map<string, number>();
  persistentBytes = 0;
  /** Of all values of sessions together; the arena of an entry that names any begins behind them. */
  sessionBytes = 0;
  readonly #sessionOffsets = new Map<string, number>();

  constructor(sessionValues: Iterable<Value>) {
    for (const value of sessionValues) {
      if (this.#sessionOffsets.has(value.name)) continue; // of another entry
      this.#sessionOffsets.set(value.name, this.sessionBytes);
      this.sessionBytes += aligned(valueBytes(value));
    }
  }

  persistent(value: Value): number {
    const known = this.#persistent.get(value.name);
    if (known !== undefined) return this.#sameTensor(known, value);
    if (value.rowsOf !== undefined) return this.#rows(value, value.rowsOf);
    const isSession = value.isSession === true;
    const id = isSession
      ? this.add(value, value.name, 'session', this.#sessionOffsets.get(value.name)!)
      : this.add(value, value.name, 'persistent', this.persistentBytes);
    this.#persistent.set(value.name, id);
    if (!isSession) this.persistentBytes += aligned(valueBytes(value));
    return id;
  }

  /** Entries find a tensor by its name, so it has to be the same in all of them. */
  #sameTensor(known: number, { name, dtype, shape }: Value): number {
    const [before, now] = [this.all[known]!, { dtype, shape }].map(
      (of) => `${of.dtype} [${of.shape.join(', ')}]`,
    );
    if (before === now) return known;
    throw compactError('ERR_COMPACT_SHAPE', `entries have different tensors by the name ${name}`, {
      op: name,
      expected: before,
      received: now,
      remedy: 'A model or a method gives two tensors one name: rename one of them',
    });
  }

  #rows(value: Value, { value: whole, first }: RowsOf): number {
    const { offset } = this.all[this.persistent(whole)]!;
    const rowBytes = valueBytes(value) / value.shape[0]!;
    const id = this.add(value, value.name, 'rows', offset + first * rowBytes);
    this.#persistent.set(value.name, id);
    return id;
  }

  add(value: Value, name: string, region: Region, offset: number): number {
    const { layer, kind, dtype, shape } = value;
    const id = this.all.length;
    this.all.push({ id, name, layer, kind, dtype, shape, region, offset, bytes: valueBytes(value) });
    return id;
  }
}

function assembleEntry({ program, lifetimes, arena }: LaidOutEntry, values: PlanValues): PlanEntry {
  const ids = new Map<Value, number>();
  const inputs: number[] = [];
  const sessionValues = new Set(sessionValuesOf(program));
  const firstByte = sessionValues.size > 0 ? values.sessionBytes : 0;
  const entryLifetimes = [...sessionValues].map((value): Lifetime => ({
    value: values.persistent(value),
    first: 0,
    last: program.nodes.length - 1,
  }));
  const producers = producersOf(program.nodes);
  const madeAt = new Map<Value, number>();
  for (const [index, node] of program.nodes.entries())
    for (const output of node.outputs) madeAt.set(output, lifetimes.spans[index]!.first);
  const outputNames = new Map([...program.outputs].map(([name, value]) => [value, name]));

  for (const [index, storage] of lifetimes.storages.entries()) {
    for (const [position, value] of storage.values.entries()) {
      const producer = producers.get(value);
      const isInput = producer === undefined;
      const name = isInput
        ? value.name
        : (outputNames.get(value) ?? `${value.layer}/${producer.op}.${value.name}`);
      const id = values.add(value, name, 'arena', firstByte + arena.offsets[index]!);
      ids.set(value, id);
      if (isInput) inputs.push(id);
      // An in-place successor holds the bytes from the instruction that makes it on, so they are counted once.
      const successor = storage.values[position + 1];
      const last = successor === undefined ? storage.last : madeAt.get(successor)! - 1;
      entryLifetimes.push({ value: id, first: madeAt.get(value) ?? 0, last });
    }
  }
  const idOf = (value: Value): number =>
    ids.get(value) ?? values.persistent(lifetimes.persistent.get(value) ?? value);

  const instructions = program.nodes.map((node, index): PlanInstruction => {
    const { rawBytes, kind, first } = lifetimes.workspaces[index]!;
    return {
      op: node.op,
      inputs: node.inputs.map((input) => (input === undefined ? -1 : idOf(input))),
      outputs: node.outputs.map(idOf),
      attributes: node.attributes,
      workspace: {
        offset: firstByte + arena.offsets[lifetimes.storages.length + index]!,
        bytes: rawBytes,
        kind,
      },
      isPreparedAhead: first < lifetimes.spans[index]!.first,
      layer: node.layer,
      phase: node.phase,
      flops: definitionOf(node).flops(node),
      joinsPrevious: program.joined?.has(node) ?? false,
    };
  });
  return {
    name: program.name,
    instructions,
    inputs,
    outputs: [...program.outputs.values()].map(idOf),
    lifetimes: entryLifetimes,
    arenaBytes: firstByte + arena.bytes,
    arenaLowerBoundBytes: firstByte + lifetimes.lowerBoundBytes,
  };
}
