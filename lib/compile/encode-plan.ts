import type { DType } from '../graph/index.js';
import { checkedPlan } from './plan-schema.js';
import type { Plan, PlanInstruction, PlanValue, Region } from './plan.js';

/** To the engine a value of a session is one of the arena that nothing else is put in the place of. */
const regionCodes: Readonly<Record<Region, number>> = { persistent: 0, arena: 1, rows: 2, session: 1 };
const dtypeCodes: Readonly<Record<DType, number>> = { f32: 0, bf16: 1, i32: 2, u8: 3, i8: 4 };

/**
 * The bytes in which a plan travels to the engine (docs/plan-format.md).
 * @throws ERR_COMPACT_PLAN_INVALID
 */
export const encodePlan = (plan: Plan): Uint8Array => encodeChecked(checkedPlan(plan));

/** The same of a plan whose form was checked. */
export function encodeChecked(plan: Plan): Uint8Array {
  const writer = new Writer();
  writer.ascii('CPTPLAN\0');
  writer.u32(plan.version);
  writer.string(plan.device);
  writer.u64(plan.persistentBytes);
  writer.u64(plan.arenaBytes);
  writer.list(plan.scalars, (name) => writer.string(name));
  writer.list(plan.values, (value) => writeValue(writer, value));
  writer.list(Object.values(plan.entries), (entry) => {
    writer.string(entry.name);
    writer.list(entry.inputs, (id) => writer.u32(id));
    writer.list(entry.outputs, (id) => writer.u32(id));
    writer.list(entry.instructions, (instruction) => writeInstruction(writer, instruction, plan.scalars));
  });
  writer.ascii('END\0');
  return writer.bytes();
}

function writeValue(writer: Writer, value: PlanValue): void {
  writer.string(value.name);
  writer.string(value.layer);
  writer.u8(dtypeCodes[value.dtype]);
  writer.u8(regionCodes[value.region]);
  writer.u8(value.shape.length);
  for (const size of value.shape) writer.u64(size);
  writer.u64(value.offset);
  writer.u64(value.bytes);
}

function writeInstruction(writer: Writer, instruction: PlanInstruction, scalars: Plan['scalars']): void {
  writer.string(instruction.op);
  writer.string(instruction.layer);
  writer.list(instruction.inputs, (id) => writer.i32(id));
  writer.list(instruction.outputs, (id) => writer.u32(id));
  writer.list(Object.entries(instruction.attributes), ([name, attribute]) => {
    writer.string(name);
    const isConstant = typeof attribute === 'number';
    writer.i32(isConstant ? -1 : scalars.indexOf(attribute.scalar));
    writer.f64(isConstant ? attribute : 0);
  });
  writer.u64(instruction.workspace.offset);
  writer.u64(instruction.workspace.bytes);
  writer.u8(Number(instruction.isPreparedAhead));
  writer.u8(Number(instruction.joinsPrevious));
}

/** Little-endian numbers and length-prefixed strings in a buffer that grows. */
class Writer {
  #data = new Uint8Array(1 << 16);
  #view = new DataView(this.#data.buffer);
  #length = 0;
  readonly #encoder = new TextEncoder();

  bytes(): Uint8Array {
    return this.#data.slice(0, this.#length);
  }

  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.u32(items.length);
    for (const item of items) write(item);
  }

  ascii(text: string): void {
    const encoded = this.#encoder.encode(text);
    const at = this.#reserve(encoded.length);
    this.#data.set(encoded, at);
  }

  string(text: string): void {
    const encoded = this.#encoder.encode(text);
    this.u32(encoded.length);
    const at = this.#reserve(encoded.length);
    this.#data.set(encoded, at);
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  i32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  f64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value, true);
  }

  /** Makes room and returns where it begins. */
  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#data.length) {
      const grown = new Uint8Array(Math.max(2 * this.#data.length, this.#length));
      grown.set(this.#data);
      this.#data = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
