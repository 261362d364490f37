/**
 * Runs a plan with the float64 twins instead of an engine: same memory, same offsets, same rounding where a value is
 * stored, but no line of native code. It shows whether a plan means the right thing, on any machine.
 *
 * At the start of each run the arena holds NaN, so a plan that reads what it has not written cannot go unseen.
 */
import type { Plan, PlanInstruction, Region } from '../../lib/compile/index.js';
import { scalarValue } from '../../lib/graph/index.js';
import type { Engine, HostArray, RunOptions, RunResult } from '../../lib/runtime/index.js';
import { computeTwin, numElements, type Tensor } from '../reference/index.js';
import { signatures } from './signatures.js';
import { elementArrays, elementBytes, load, store } from './storage.js';

export class PlanInterpreter implements Pick<Engine, 'run' | 'read' | 'write'> {
  readonly #plan: Plan;
  readonly #regions: Readonly<Record<Region, Uint8Array>>;

  constructor(plan: Plan) {
    this.#plan = plan;
    const persistent = new Uint8Array(plan.persistentBytes);
    const arena = new Uint8Array(plan.arenaBytes);
    this.#regions = { persistent, rows: persistent, arena, session: arena };
  }

  async write(name: string, data: HostArray): Promise<void> {
    this.#put(this.#persistentId(name), data);
  }

  async read(name: string): Promise<HostArray> {
    return this.#get(this.#persistentId(name));
  }

  async run(name: string, { inputs = {}, scalars = {} }: RunOptions = {}): Promise<RunResult> {
    const entry = this.#plan.entries[name]!;
    this.#forget(entry);
    for (const id of entry.inputs) this.#put(id, inputs[this.#plan.values[id]!.name]!);
    for (const instruction of entry.instructions)
      this.#execute(instruction, scalars as Record<string, number>);
    const outputs = entry.outputs.map((id) => [this.#plan.values[id]!.name, this.#get(id)] as const);
    return { outputs: Object.fromEntries(outputs), durationMs: 0 };
  }

  /** All of the arena but the session of the entry becomes NaN, as fp32 and as bf16. */
  #forget({ lifetimes }: Plan['entries'][string]): void {
    const held = lifetimes.map(({ value }) => this.#plan.values[value]!);
    const ends = held.filter(({ region }) => region === 'session').map(({ offset, bytes }) => offset + bytes);
    this.#regions.arena.fill(0xff, Math.max(0, ...ends));
  }

  #execute(instruction: PlanInstruction, scalars: Readonly<Record<string, number>>): void {
    const signature = signatures.get(instruction.op)!;
    const inputs = signature.inputs.map(({ name }, i): [string, Tensor | undefined] => {
      const id = instruction.inputs[i] ?? -1;
      return [name, id < 0 ? undefined : this.#tensor(id)];
    });
    const given = Object.entries(instruction.attributes).map(([name, attribute]): [string, number] => [
      name,
      typeof attribute === 'number' ? attribute : scalarValue(scalars, attribute.scalar)!,
    ]);
    const { shape, dtype } = this.#plan.values[instruction.outputs[0]!]!;
    const attributes = {
      ...signature.attributes,
      ...Object.fromEntries(given),
      // What an op reads off its first output.
      rank: shape.at(-1)!,
      columns: shape.at(-1)!,
      outputRows: shape[0]!,
      vocabulary: shape[0]!,
      size: numElements(shape),
      elementBytes: elementBytes[dtype],
    };
    const results = computeTwin(instruction.op, Object.fromEntries(inputs), attributes);
    const named = signature.outputs.filter(({ name }) => results[name] !== undefined);
    instruction.outputs.forEach((id, i) => this.#store(id, results[named[i]!.name]!.data));
  }

  #persistentId(name: string): number {
    return this.#plan.values.find((value) => value.region === 'persistent' && value.name === name)!.id;
  }

  #tensor(id: number): Tensor {
    const { region, offset, shape, dtype } = this.#plan.values[id]!;
    return { shape, data: load(this.#regions[region], offset, numElements(shape), dtype) };
  }

  #store(id: number, data: Float64Array): void {
    const { region, offset, dtype } = this.#plan.values[id]!;
    store(this.#regions[region], offset, data, dtype);
  }

  #put(id: number, data: HostArray): void {
    const { region, offset, bytes } = this.#plan.values[id]!;
    if (data.byteLength !== bytes) throw new Error(`${data.byteLength} bytes for ${bytes}`);
    this.#regions[region].set(new Uint8Array(data.buffer, data.byteOffset, bytes), offset);
  }

  #get(id: number): HostArray {
    const { region, offset, bytes, dtype } = this.#plan.values[id]!;
    const copy = this.#regions[region].slice(offset, offset + bytes);
    return new elementArrays[dtype](copy.buffer, 0, bytes / elementBytes[dtype]);
  }
}
