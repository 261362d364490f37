/**
 * What a program computes, as expressions: an expression is the number of an op call with the expressions it read.
 * Copies of a node give the same expression, so plans with and without recomputation can be compared exactly, at any
 * size and without arithmetic.
 */
import { groupSpans, type Plan, type PlanInstruction, type PlanValue } from '../../lib/compile/index.js';
import { type Program, persistentTargets } from '../../lib/graph/index.js';
import { type Attributes, dtypeBytes, opDefinitions, type Value, valueBytes } from '../../lib/graph/index.js';

/** Equal calls have equal numbers, and an op that stands for two has the numbers of the two. */
export class Expressions {
  readonly #known = new Map<string, number>();
  /** Sums of squares: what each was made of, on top of the sums that were there. */
  readonly #sums = new Map<
    number,
    { readonly base: number; readonly squared: ReadonlyMap<number, number> }
  >();

  /** What codes and their scales stand for: to expressions, a value that is rebuilt is the value. */
  readonly #encoded = new Map<string, number>();

  source(name: string): number {
    return this.#number(`source ${name}`);
  }

  call(op: string, attributes: Attributes, inputs: readonly (number | undefined)[], output: number): number {
    if (op === 'addRmsNorm') {
      const [a, b, weight] = inputs;
      const sum = this.call('add', {}, [a, b], 0);
      return output === 0 ? sum : this.call('rmsNorm', attributes, [sum, weight], output - 1);
    }
    if (op === 'matmul' && inputs[3] !== undefined) {
      const { squaresIndex, ...plain } = attributes;
      const c = this.call(op, plain, inputs.slice(0, 3), 0);
      return output === 0 ? c : this.#squared(inputs[3], squaresIndex as number, c);
    }
    if (op === 'sumOfSquares') return this.#squared(inputs[1]!, attributes.index as number, inputs[0]!);
    if (op === 'dequantize' || op === 'dequantizeFp8') return this.#encoded.get(inputs.join())!;
    const named = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const key = `${op}${JSON.stringify(named)}(${inputs.map((i) => i ?? '-').join()})`;
    if (op === 'quantize' || op === 'quantizeFp8')
      this.#encoded.set(`${this.#number(`${key}#0`)},${this.#number(`${key}#1`)}`, inputs[0]!);
    return this.#number(`${key}#${output}`);
  }

  /** Bytes [begin, end) of a value. */
  part(whole: number, begin: number, end: number): number {
    return this.#number(`bytes ${begin} to ${end} of ${whole}`);
  }

  /** Each sum stands for itself: it does not matter in which order they are written. */
  #squared(sums: number, index: number, x: number): number {
    const { base, squared } = this.#sums.get(sums) ?? { base: sums, squared: new Map<number, number>() };
    const changed = new Map(squared).set(index, x);
    const named = [...changed].toSorted(([a], [b]) => a - b).map((entry) => entry.join(':'));
    const number = this.#number(`squares ${named.join()} in ${base}`);
    this.#sums.set(number, { base, squared: changed });
    return number;
  }

  #number(key: string): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, this.#known.size);
    return this.#known.size - 1;
  }
}

export interface Meaning {
  readonly outputs: Readonly<Record<string, number>>;
  /** Of every persistent value that the program changes, by name. */
  readonly persistent: Readonly<Record<string, number>>;
}

/** What the nodes of a graph mean, without any memory. */
export function meaningOfGraph({ nodes, outputs }: Program, expressions: Expressions): Meaning {
  const known = new Map<Value, number>();
  const targets = persistentTargets(nodes);
  const persistent: Record<string, number> = {};
  const read = (value: Value): number => {
    if (value.rowsOf === undefined) return known.get(value) ?? expressions.source(value.name);
    const { value: whole, first } = value.rowsOf;
    const begin = first * (valueBytes(whole) / whole.shape[0]!);
    return expressions.part(read(whole), begin, begin + valueBytes(value));
  };
  for (const { op, attributes, inputs, outputs: made } of nodes) {
    const numbers = inputs.map((input) => input && read(input));
    for (const [index, output] of made.entries()) {
      const number = expressions.call(op, attributes, numbers, index);
      const target = output.persistent ? output : targets.get(output);
      if (target !== undefined) persistent[target.name] = number;
      // Products write their sums where others have written theirs.
      if (target !== undefined && op === 'matmul' && index === 1) known.set(target, number);
      if (!output.persistent) known.set(output, number);
    }
  }
  return {
    outputs: Object.fromEntries([...outputs].map(([name, value]) => [name, read(value)])),
    persistent,
  };
}

interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly expression: number;
  /** Of a value of which other rows were written since: its first byte, and it is there in part. */
  readonly valueStart?: number;
}

/** Bytes of a region that hold expressions; a write takes away whatever it touches. */
class Memory {
  #stretches: Stretch[] = [];

  read(start: number, end: number): number | undefined {
    return this.#stretches.find(
      (stretch) => stretch.start === start && stretch.end === end && stretch.valueStart === undefined,
    )?.expression;
  }

  /** Rows of a value, all of which or a part of which is there. */
  readRows(start: number, end: number, expressions: Expressions): number | undefined {
    const known = this.read(start, end);
    if (known !== undefined) return known;
    const holder = this.#stretches.find((stretch) => stretch.start <= start && end <= stretch.end);
    if (holder === undefined) return undefined;
    const { valueStart = holder.start } = holder;
    return expressions.part(holder.expression, start - valueStart, end - valueStart);
  }

  write(start: number, end: number, expression?: number): void {
    this.#stretches = this.#stretches.filter((stretch) => stretch.end <= start || end <= stretch.start);
    if (expression !== undefined) this.#stretches.push({ start, end, expression });
  }

  /** The other rows of the value stay. */
  writeRows(start: number, end: number, expression: number): void {
    const holder = this.#stretches.find((stretch) => stretch.start <= start && end <= stretch.end);
    this.write(start, end, expression);
    if (holder === undefined) return;
    const { valueStart = holder.start } = holder;
    if (holder.start < start) this.#stretches.push({ ...holder, end: start, valueStart });
    if (end < holder.end) this.#stretches.push({ ...holder, start: end, valueStart });
  }
}

/**
 * What an entry of a plan means when it is executed over its own bytes.
 * @throws an Error that names the instruction, for anything read before it is written or after it is overwritten, and
 * for operands that overlap without leave of the op's definition, or with what another member of the group writes
 */
export function meaningOfPlan(plan: Plan, entryName: string, expressions: Expressions): Meaning {
  const entry = plan.entries[entryName]!;
  const arena = new Memory();
  const regions = { arena, session: arena, persistent: new Memory() };
  const write = ({ region, offset, bytes }: PlanValue, expression: number) => {
    if (region === 'rows') regions.persistent.writeRows(offset, offset + bytes, expression);
    else regions[region].write(offset, offset + bytes, expression);
  };
  const found = ({ region, offset, bytes }: PlanValue): number | undefined =>
    region === 'rows'
      ? regions.persistent.readRows(offset, offset + bytes, expressions)
      : regions[region].read(offset, offset + bytes);
  const ofSession = new Set(entry.lifetimes.map(({ value }) => value));
  for (const value of plan.values)
    if (value.region === 'persistent' || (value.region === 'session' && ofSession.has(value.id)))
      write(value, expressions.source(value.name));
  for (const id of entry.inputs) write(plan.values[id]!, expressions.source(plan.values[id]!.name));

  const persistent: Record<string, number> = {};
  const spans = groupSpans(entry.instructions);
  for (const [index, instruction] of entry.instructions.entries()) {
    const { first, last } = spans[index]!;
    const prepared = entry.instructions[last + 1];
    if (index === first && prepared?.isPreparedAhead === true) {
      const { offset, bytes } = prepared.workspace;
      regions.arena.write(offset, offset + bytes);
    }
    const where = `${entryName}[${index}] ${instruction.layer}/${instruction.op}`;
    const read = (id: number): number => {
      const value = plan.values[id]!;
      const expression = found(value);
      if (expression === undefined) throw new Error(`${where} reads ${value.name}, which is not there`);
      return expression;
    };
    const numbers = instruction.inputs.map((id) => (id < 0 ? undefined : read(id)));
    checkOverlaps(plan, instruction, where);
    for (let member = first; member <= last; member++)
      if (member !== index) checkApart(plan, instruction, entry.instructions[member]!, where);
    const { offset, bytes } = instruction.workspace;
    if (bytes > 0) regions.arena.write(offset, offset + bytes);
    for (const [position, id] of instruction.outputs.entries()) {
      const value = plan.values[id]!;
      const expression = expressions.call(instruction.op, instruction.attributes, numbers, position);
      write(value, expression);
      if (value.region !== 'arena') persistent[value.name] = expression;
    }
  }
  const outputs = entry.outputs.map((id) => {
    const value = plan.values[id]!;
    const expression = found(value);
    if (expression === undefined)
      throw new Error(`the output ${value.name} of ${entryName} is not there at the end`);
    return [value.name, expression] as const;
  });
  return { outputs: Object.fromEntries(outputs), persistent };
}

function checkOverlaps(plan: Plan, instruction: PlanInstruction, where: string): void {
  const definition = opDefinitions.get(instruction.op)!;
  const shared = [...definition.updates, ...definition.accumulators, ...definition.inPlace];
  const outputs = instruction.outputs.map((id) => plan.values[id]!);
  const { offset, bytes } = instruction.workspace;
  const workspace = { name: 'its workspace', region: 'arena', offset, bytes } as const;
  for (const [position, output] of outputs.entries()) {
    for (const other of outputs.slice(position + 1))
      if (overlaps(output, other)) throw new Error(`${where}: ${output.name} overlaps ${other.name}`);
    if (overlaps(output, workspace)) throw new Error(`${where}: ${output.name} overlaps its workspace`);
    for (const [slot, id] of instruction.inputs.entries()) {
      if (id < 0) continue;
      const input = plan.values[id]!;
      if (overlaps(input, workspace)) throw new Error(`${where}: ${input.name} overlaps its workspace`);
      const isSame = input.offset === output.offset && input.bytes === output.bytes;
      const isAllowed = isSame && shared.some(([made, read]) => made === position && read === slot);
      // Another operand may be the very input that the output takes over (a value that is read twice).
      const isTwice = isSame && instruction.inputs.some((same, at) => same === id && at !== slot);
      if (overlaps(input, output) && !isAllowed && !isTwice)
        throw new Error(`${where}: ${output.name} overlaps ${input.name}`);
    }
  }
}

/** That an instruction writes nothing that another one of its group touches. */
function checkApart(plan: Plan, instruction: PlanInstruction, other: PlanInstruction, where: string): void {
  if (other.op !== instruction.op) throw new Error(`${where} is in a group with ${other.op}`);
  const theirs = touchedBy(plan, other);
  for (const mine of touchedBy(plan, instruction).written)
    if ([...theirs.read, ...theirs.written].some((touched) => overlaps(mine, touched)))
      throw new Error(`${where} writes what another one of its group touches`);
}

/** What an instruction writes, and what it reads beside that. */
function touchedBy(plan: Plan, { op, inputs, outputs, attributes, workspace }: PlanInstruction) {
  const elements = new Map(opDefinitions.get(op)!.elementUpdates);
  const isElement = (id: number) =>
    [...elements.keys()].some((output) => outputs[output] !== undefined && outputs[output] === id);
  const written = outputs.map((id, output): Stretching => {
    const { region, offset, bytes, dtype } = plan.values[id]!;
    const element = attributes[elements.get(output) ?? ''];
    if (typeof element !== 'number') return { region, offset, bytes };
    return { region, offset: offset + element * dtypeBytes[dtype], bytes: dtypeBytes[dtype] };
  });
  const scratch: Stretching = { region: 'arena', offset: workspace.offset, bytes: workspace.bytes };
  const read = inputs.filter((id) => id >= 0 && !isElement(id)).map((id): Stretching => plan.values[id]!);
  return { written: [...written, scratch], read };
}

type Stretching = Pick<PlanValue, 'region' | 'offset' | 'bytes'>;

const isInArena = ({ region }: Stretching): boolean => region === 'arena' || region === 'session';

const overlaps = (a: Stretching, b: Stretching): boolean =>
  isInArena(a) === isInArena(b) && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
