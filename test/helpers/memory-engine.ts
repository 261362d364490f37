import { createHash } from 'node:crypto';
import type { Plan, PlanValue } from '../../lib/compile/index.js';
import { compactError } from '../../lib/errors.js';
import { numElements } from '../../lib/graph/index.js';
import type { Engine, HostArray, HostDType, RowsLayout } from '../../lib/runtime/index.js';
import { packed, roundedTo, unpacked, type NumberType } from './host-numbers.js';
import { elementBytes, type DType } from './storage.js';

const arrays = { f32: Float32Array, bf16: Uint16Array, i32: Int32Array, u8: Uint8Array, i8: Int8Array };

/** The persistent tensors of a plan and nothing else: enough of an engine to save and load. */
export class MemoryEngine implements Pick<Engine, 'read' | 'write' | 'writeRows'> {
  readonly tensors = new Map<string, Uint8Array>();
  readonly #values = new Map<string, PlanValue>();

  constructor(plan: Plan) {
    for (const value of plan.values) {
      if (value.region !== 'persistent') continue;
      this.#values.set(value.name, value);
      this.tensors.set(value.name, new Uint8Array(value.bytes));
    }
  }

  /** Fills everything with bytes from a seed, but that no number of two bytes or four has an exponent of ones alone. */
  scramble(seed: number): void {
    for (const [name, bytes] of this.tensors) {
      bytes.set(createHash('shake256', { outputLength: bytes.length }).update(`${seed} ${name}`).digest());
      for (let i = 1; i < bytes.length; i += 2) bytes[i]! &= 0xbf;
    }
  }

  async write(name: string, data: HostArray, byteOffset = 0): Promise<void> {
    this.#bytes(name).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), byteOffset);
  }

  async writeRows(name: string, rows: Uint8Array, layout: RowsLayout): Promise<void> {
    const { dtype: from, stride, firstColumn = 0, firstRow = 0, isTransposed = false } = layout;
    const { columns = stride - firstColumn } = layout;
    const { dtype: to, shape } = this.#values.get(name)!;
    const words = wordTypes[elementBytes[to]]!;
    const given = wordsOf(converted(rows, from, to), words);
    const target = wordsOf(this.#bytes(name), words);
    const numRows = given.length / stride;
    const allRows = numElements(shape) / columns;
    for (let row = 0; row < numRows; row++)
      for (let column = 0; column < columns; column++) {
        const place = isTransposed ? column * allRows + firstRow + row : (firstRow + row) * columns + column;
        target[place] = given[row * stride + firstColumn + column]!;
      }
  }

  async read(name: string, range?: { byteOffset: number; byteLength: number }): Promise<HostArray> {
    const bytes = this.#bytes(name);
    const { byteOffset, byteLength } = range ?? { byteOffset: 0, byteLength: bytes.length };
    const part = bytes.slice(byteOffset, byteOffset + byteLength);
    return new arrays[this.#values.get(name)!.dtype](part.buffer);
  }

  #bytes(name: string): Uint8Array {
    const bytes = this.tensors.get(name);
    if (bytes === undefined) throw compactError('ERR_COMPACT_VALUE_UNKNOWN', `no value ${name}`);
    return bytes;
  }
}

const wordTypes: Readonly<Record<number, typeof Uint8Array | typeof Uint16Array | typeof Uint32Array>> = {
  1: Uint8Array,
  2: Uint16Array,
  4: Uint32Array,
};
const wordsOf = (
  bytes: Uint8Array,
  Words: NonNullable<(typeof wordTypes)[number]>,
): Uint8Array | Uint16Array | Uint32Array =>
  new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / Words.BYTES_PER_ELEMENT);

/** Rows in the numbers of a value. */
function converted(rows: Uint8Array, from: HostDType, to: DType): Uint8Array {
  if (to !== 'f32' && to !== 'bf16') return rows;
  const numbers = unpacked(rows, from as NumberType);
  const rounded = from === to ? numbers : numbers.map((x) => roundedTo(x, to));
  if (!rounded.every(Number.isFinite))
    throw compactError('ERR_COMPACT_NOT_FINITE', 'it holds one that is not');
  return from === to ? rows : packed(rounded, to);
}
