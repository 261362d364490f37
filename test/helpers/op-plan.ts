/**
 * A plan of single instructions for tests of ops. Everything lies in the arena: the test writes and reads the arena
 * whole, as one input and one output, so it sees every byte that an op touches. Between operands, before the first and
 * after the last are gaps of guard bytes, and so is the contents of outputs and workspaces before the run.
 */
import {
  type Plan,
  type PlanInstruction,
  type PlanValue,
  planVersion,
  type Target,
} from '../../lib/compile/index.js';
import { loopScalars } from '../../lib/graph/index.js';
import { nativeAttributes, type OpCase, type Operand, operandElements } from './op-case.js';
import { elementBytes, load, store } from './storage.js';

/** As fp32 and as bf16 a NaN, as int32 a large number: what reads a guard shows it. */
const guardPattern = 0x7fc1;
const gapBytes = 512;
const align = (bytes: number) => Math.ceil(bytes / 256) * 256;

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

interface PlacedCase {
  readonly opCase: OpCase;
  readonly outputs: readonly Place[];
  readonly workspace: Place;
}

export interface OpPlan {
  readonly plan: Plan;
  /** Contents of the arena before the run. */
  readonly before: Uint8Array;
  readonly cases: readonly PlacedCase[];
  /** What belongs to no output and no workspace: nothing may be written there. */
  readonly untouchable: readonly Place[];
}

const bytesOf = (operand: Operand): number => operandElements(operand) * elementBytes[operand.dtype];

/** Entries: `write` (input `arena`), `run`, `read` (output `arena`). Workspaces are large enough for all targets. */
export function opPlan(cases: readonly OpCase[], targets: readonly Target[]): OpPlan {
  const values: PlanValue[] = [];
  let end = 0;
  const place = (bytes: number): Place => {
    const offset = align(end + gapBytes);
    end = offset + bytes;
    return { offset, bytes };
  };
  const addValue = (name: string, { dtype, shape }: Pick<Operand, 'dtype' | 'shape'>, at: Place) => {
    const id = values.length;
    values.push({ id, name, layer: '', kind: 'activation', dtype, shape, region: 'arena', ...at });
    return id;
  };
  const contents: [Place, Operand][] = [];
  const instructions: PlanInstruction[] = [];
  const placed = cases.map((opCase, index): PlacedCase => {
    const places = new Map<string, Place>();
    const inputs = opCase.inputs.map((operand) => {
      if (operand === undefined) return -1;
      const at = place(bytesOf(operand));
      places.set(operand.name, at);
      contents.push([at, operand]);
      return addValue(`${index}.${operand.name}`, operand, at);
    });
    const outputPlaces: Place[] = [];
    const outputs = opCase.outputs.map((operand) => {
      const shared = operand.updates === undefined ? undefined : places.get(operand.updates)!;
      const at = { offset: (shared ?? place(bytesOf(operand))).offset, bytes: bytesOf(operand) };
      outputPlaces.push(at);
      return addValue(`${index}.${operand.name}.out`, operand, at);
    });
    const attributes = nativeAttributes(opCase);
    const call = { op: opCase.op, inputs: opCase.inputs, outputs: opCase.outputs, attributes };
    const workspace = place(Math.max(...targets.map((target) => target.workspaceBytes(call))));
    instructions.push({
      op: opCase.op,
      inputs,
      outputs,
      attributes,
      isPreparedAhead: false,
      layer: opCase.name,
      phase: 'forward',
      flops: 0,
      joinsPrevious: false,
      workspace: { ...workspace, kind: 'workspace' },
    });
    return { opCase, outputs: outputPlaces, workspace };
  });
  const arenaBytes = align(end + gapBytes);
  const arena = addValue('arena', { dtype: 'u8', shape: [arenaBytes] }, { offset: 0, bytes: arenaBytes });
  const before = new Uint8Array(new Uint16Array(arenaBytes / 2).fill(guardPattern).buffer);
  for (const [at, { values: data, dtype }] of contents) store(before, at.offset, data!.data, dtype);
  const entry = (name: string, given: Partial<Plan['entries'][string]>) => ({
    name,
    instructions: [],
    inputs: [],
    outputs: [],
    lifetimes: [],
    arenaBytes,
    arenaLowerBoundBytes: arenaBytes,
    ...given,
  });
  const plan: Plan = {
    version: planVersion,
    device: targets[0]!.device,
    scalars: [...loopScalars],
    values,
    entries: {
      write: entry('write', { inputs: [arena] }),
      run: entry('run', { instructions }),
      read: entry('read', { outputs: [arena] }),
    },
    persistentBytes: 0,
    arenaBytes,
    arenaLowerBoundBytes: arenaBytes,
    peakBytes: arenaBytes,
  };
  return { plan, before, cases: placed, untouchable: untouchable(placed, arenaBytes) };
}

/** Values of one output after the run. */
export function outputOf({ opCase, outputs }: PlacedCase, name: string, memory: Uint8Array): Float64Array {
  const index = opCase.outputs.findIndex((operand) => operand.name === name);
  const operand = opCase.outputs[index]!;
  return load(memory, outputs[index]!.offset, operandElements(operand), operand.dtype);
}

function untouchable(cases: readonly PlacedCase[], arenaBytes: number): Place[] {
  const owned = cases.flatMap(({ outputs, workspace }) => [...outputs, workspace]);
  owned.sort((a, b) => a.offset - b.offset);
  const ends = [0, ...owned.map(({ offset, bytes }) => offset + bytes)];
  const starts = [...owned.map(({ offset }) => offset), arenaBytes];
  return starts.map((start, i) => ({ offset: ends[i]!, bytes: start - ends[i]! }));
}

/** Offsets of ranges in which a byte changed though no op owns it: guards, inputs. */
export function strayWrites({ before, untouchable }: OpPlan, after: Uint8Array): number[] {
  const changed = untouchable.filter(({ offset, bytes }) => {
    const [old, found] = [before, after].map((memory) => memory.subarray(offset, offset + bytes));
    return Buffer.compare(old!, found!) !== 0;
  });
  return changed.map(({ offset }) => offset);
}
