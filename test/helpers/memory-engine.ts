import { createHash } from 'node:crypto';
import type { Plan, PlanValue } from '../../lib/compile/index.js';
import { compactError } from '../../lib/errors.js';
import type { Engine, HostArray } from '../../lib/runtime/index.js';

const arrays = { f32: Float32Array, bf16: Uint16Array, i32: Int32Array, u8: Uint8Array, i8: Int8Array };

/** The persistent tensors of a plan and nothing else: enough of an engine to save and load. */
export class MemoryEngine implements Pick<Engine, 'read' | 'write'> {
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
