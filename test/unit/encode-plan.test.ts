/** The bytes of a plan, read back by the format's documentation. */
import { expect, test } from '@jest/globals';
import { compile, encodePlan } from '../../lib/compile/index.js';
import { loopScalars } from '../../lib/graph/index.js';
import { compact } from '../../lib/methods/index.js';
import { llama } from '../../lib/models/index.js';
import { groupingTarget } from '../helpers/plan-target.js';

/** docs/plan-format.md, word by word. */
class Reader {
  readonly #view: DataView;
  #at = 0;

  constructor(private readonly data: Uint8Array) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.data.length;
  }

  text(length: number): string {
    return new TextDecoder().decode(this.data.subarray(this.#at, (this.#at += length)));
  }

  u8(): number {
    return this.data[this.#at++]!;
  }

  u32(): number {
    return this.#view.getUint32((this.#at += 4) - 4, true);
  }

  i32(): number {
    return this.#view.getInt32((this.#at += 4) - 4, true);
  }

  u64(): number {
    return Number(this.#view.getBigUint64((this.#at += 8) - 8, true));
  }

  f64(): number {
    return this.#view.getFloat64((this.#at += 8) - 8, true);
  }

  string(): string {
    return this.text(this.u32());
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.u32() }, read);
  }
}

const plan = compile({
  model: llama({
    vocabSize: 19,
    hiddenSize: 8,
    intermediateSize: 24,
    numAttentionHeads: 2,
    numHiddenLayers: 2,
  }),
  method: compact({ rank: 4, momentsAtRefresh: 'transfer', seed: 2 ** 40 + 3 }),
  target: groupingTarget,
  batchSize: 2,
  sequenceLength: 3,
  dtype: 'bf16',
  maxGradNorm: 1,
});

test('a plan can be read back from its bytes', () => {
  const reader = new Reader(encodePlan(plan));
  expect(reader.text(8)).toBe('CPTPLAN\0');
  expect(reader.u32()).toBe(4);
  expect(reader.string()).toBe('cuda');
  expect(reader.u64()).toBe(plan.persistentBytes);
  expect(reader.u64()).toBe(plan.arenaBytes);
  const scalars = reader.list(() => reader.string());
  expect(scalars).toEqual(plan.scalars);
  expect(scalars).toEqual([...loopScalars, 'firstMomentStep', 'projectionEpoch', 'previousProjectionEpoch']);

  const values = reader.list(() => ({
    name: reader.string(),
    layer: reader.string(),
    dtype: ['f32', 'bf16', 'i32', 'u8', 'i8'][reader.u8()],
    region: ['persistent', 'arena'][reader.u8()],
    shape: Array.from({ length: reader.u8() }, () => reader.u64()),
    offset: reader.u64(),
    bytes: reader.u64(),
  }));
  const written = plan.values.map(({ id: _id, kind: _kind, ...value }) => value);
  // To the engine a value of a session is one of the arena.
  const regionOf = ({ region }: (typeof written)[number]) => (region === 'session' ? 'arena' : region);
  expect(values).toEqual(written.map((value) => ({ ...value, region: regionOf(value) })));

  const entries = reader.list(() => ({
    name: reader.string(),
    inputs: reader.list(() => reader.u32()),
    outputs: reader.list(() => reader.u32()),
    instructions: reader.list(() => ({
      op: reader.string(),
      layer: reader.string(),
      inputs: reader.list(() => reader.i32()),
      outputs: reader.list(() => reader.u32()),
      attributes: reader.list(() => [reader.string(), reader.i32(), reader.f64()] as const),
      workspace: [reader.u64(), reader.u64()],
      isPreparedAhead: reader.u8() === 1,
      joinsPrevious: reader.u8() === 1,
    })),
  }));
  expect(reader.text(4)).toBe('END\0');
  expect(reader.isAtEnd).toBe(true);
  expect(entries).toEqual(
    Object.values(plan.entries).map(({ name, inputs, outputs, instructions }) => ({
      name,
      inputs,
      outputs,
      instructions: instructions.map((instruction) => ({
        op: instruction.op,
        layer: instruction.layer,
        inputs: instruction.inputs,
        outputs: instruction.outputs,
        attributes: Object.entries(instruction.attributes).map(([attribute, value]) =>
          typeof value === 'number' ? [attribute, -1, value] : [attribute, scalars.indexOf(value.scalar), 0],
        ),
        workspace: [instruction.workspace.offset, instruction.workspace.bytes],
        isPreparedAhead: instruction.isPreparedAhead,
        joinsPrevious: instruction.joinsPrevious,
      })),
    })),
  );
});

test('names that are not ASCII keep their length in bytes', () => {
  const [first, ...rest] = plan.values;
  const renamed = { ...plan, values: [{ ...first!, name: 'poids·é' }, ...rest] };
  const before = encodePlan(plan).length - new TextEncoder().encode(first!.name).length;
  expect(encodePlan(renamed).length - before).toBe(9);
});
