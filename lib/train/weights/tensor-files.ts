import type { Plan, PlanValue } from '../../compile/index.js';
import { compactError } from '../../errors.js';
import { floatBytes, SafetensorsFile, writeSafetensors } from '../../formats/index.js';
import type { FloatDType, TensorReader, TensorSource } from '../../formats/index.js';
import { dtypeBytes, numElements } from '../../graph/index.js';
import type { DType, Model, StoredParameter } from '../../graph/index.js';
import { factorOf } from '../../methods/adaptation/low-rank-adapter.js';
import type { Engine, HostArray } from '../../runtime/index.js';
import { rowsIn, writeFileRows } from './file-rows.js';
import { firstNotFinite } from './finite.js';
import { pieces, transposed, type Elements } from './tensor-elements.js';
import { joinedParts, shapeInFile } from './tensor-parts.js';

/*
 * Persistent tensors of an engine as files: model.safetensors holds the parameters under the names and in the layout
 * that the model's weight map gives them, those of Hugging Face's checkpoints, and adapters as PEFT has them,
 * (r, in_features) and (out_features, r); optimizer.safetensors holds the optimizer's states as they are.
 */
export const tensorFiles = [
  { name: 'model.safetensors', kind: 'parameter' },
  { name: 'optimizer.safetensors', kind: 'optimizerState' },
] as const;
export type TensorFileName = (typeof tensorFiles)[number]['name'];

/** A persistent tensor and how it stands in its file. */
interface StoredTensor {
  readonly value: PlanValue;
  /** Its name in the file. */
  readonly name: string;
  readonly isTransposed: boolean;
  /** Of a tensor that holds several: the first of its output features that is this one's, and how many it has. */
  readonly part?: StoredParameter['part'];
  /** Names under which the file may hold it once more. */
  readonly tiedNames: readonly string[];
}

/**
 * Writes one of the files; returns its size in bytes.
 * @throws ERR_COMPACT_NOT_FINITE naming the tensor when one holds NaN or infinity
 */
export function saveTensors(
  engine: Pick<Engine, 'read'>,
  plan: Plan,
  model: Model,
  fileName: TensorFileName,
  path: string,
): Promise<number> {
  const sources = byTensor(storedTensors(plan, model, fileName)).map((parts) => sourceOf(engine, parts));
  return writeSafetensors(path, sources, { format: 'pt' });
}

/**
 * Opens one of the files and checks that it holds the tensors of this plan, all of them and nothing else.
 * @throws ERR_COMPACT_CHECKPOINT_MISMATCH and what SafetensorsFile.open throws
 */
export async function openTensors(
  path: string,
  plan: Plan,
  model: Model,
  fileName: TensorFileName,
): Promise<SafetensorsFile> {
  const file = await SafetensorsFile.open(path);
  try {
    const tensors = storedTensors(plan, model, fileName);
    for (const tensor of tensors) {
      const expected = describe(tensor.value.dtype, fileShape(tensor));
      const tied = tensor.tiedNames.filter((name) => file.tensors.has(name));
      for (const name of [tensor.name, ...tied]) {
        const found = file.tensors.get(name);
        const received = found === undefined ? 'no such tensor' : describe(found.dtype, found.shape);
        if (expected !== received) throw mismatch(path, name, expected, received);
      }
    }
    const known = new Set(tensors.flatMap(({ name, tiedNames }) => [name, ...tiedNames]));
    const extra = [...file.tensors.keys()].find((name) => !known.has(name));
    if (extra !== undefined)
      throw mismatch(path, extra, 'no such tensor', 'one that this run has no place for');
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Writes a checked file's tensors into the engine.
 * @throws ERR_COMPACT_CHECKPOINT_INVALID when one holds NaN or infinity, ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_ABORTED
 */
export async function loadTensors(
  engine: Pick<Engine, 'writeRows'>,
  plan: Plan,
  model: Model,
  fileName: TensorFileName,
  file: TensorReader,
  signal?: AbortSignal,
): Promise<void> {
  const rows = storedTensors(plan, model, fileName).map((stored) => {
    const { value, name } = stored;
    return { value, tensor: name, dtype: value.dtype, ...rowsIn({ ...stored, shape: value.shape }) };
  });
  await writeFileRows(engine, file, rows, signal);
}

/** A tensor in the order of its file. */
export const elementsOfFile = (file: TensorReader, name: string, elementBytes: number): Elements => ({
  elementBytes,
  async read(first, count) {
    const bytes = new Uint8Array(count * elementBytes);
    await file.readInto(name, bytes, first * elementBytes);
    return bytes;
  },
});

/** The same for floating point, with its type. */
export function floatsOfFile(file: TensorReader, name: string): { readonly dtype: FloatDType } & Elements {
  const dtype = file.tensors.get(name)!.dtype as FloatDType; // checked
  return { dtype, ...elementsOfFile(file, name, floatBytes[dtype]) };
}

/** A persistent value in the order of the engine. */
const elementsOfEngine = (engine: Pick<Engine, 'read'>, { name, dtype }: PlanValue): Elements => {
  const elementBytes = dtypeBytes[dtype];
  return {
    elementBytes,
    async read(first, count) {
      const range = { byteOffset: first * elementBytes, byteLength: count * elementBytes };
      return bytesOf(await engine.read(name, range));
    },
  };
};

/** Host-made tables (rope); they are no part of a checkpoint. */
export async function writeConstants(
  engine: Pick<Engine, 'write'>,
  { values }: Plan,
  model: Model,
  sequenceLength: number,
): Promise<void> {
  const persistent = new Set(values.filter(({ region }) => region === 'persistent').map(({ name }) => name));
  for (const [name, data] of Object.entries(model.constants(sequenceLength)))
    if (persistent.has(name)) await engine.write(name, data);
}

/** Sets the persistent tensors of a kind to zero. */
export async function zeroTensors(
  engine: Pick<Engine, 'write'>,
  plan: Plan,
  kind: 'optimizerState' | 'gradient',
): Promise<void> {
  for (const value of plan.values) {
    if (value.region !== 'persistent' || value.kind !== kind) continue;
    const elementBytes = dtypeBytes[value.dtype];
    for (const { first, count } of pieces(numElements(value.shape))) {
      const zeros = hostArray(value.dtype, new Uint8Array(count * elementBytes));
      await engine.write(value.name, zeros, first * elementBytes);
    }
  }
}

function storedTensors(plan: Plan, model: Model, fileName: TensorFileName): StoredTensor[] {
  const { kind } = tensorFiles.find(({ name }) => name === fileName)!;
  const stored = new Map(kind === 'parameter' ? model.weights.map((entry) => [entry.parameter, entry]) : []);
  return plan.values
    .filter((value) => value.region === 'persistent' && value.kind === kind)
    .map((value) => {
      const otherwise = factorOf(value) === undefined ? 'same' : 'transposed';
      const {
        tensor = value.name,
        layout = otherwise,
        tiedTensors = [],
        part,
      } = stored.get(value.name) ?? {};
      return { value, name: tensor, isTransposed: layout === 'transposed', part, tiedNames: tiedTensors };
    });
}

/** What stands in each tensor of a file, in the order in which it stands there. */
function byTensor(tensors: readonly StoredTensor[]): (readonly StoredTensor[])[] {
  const groups = new Map<string, StoredTensor[]>();
  for (const tensor of tensors) groups.set(tensor.name, [...(groups.get(tensor.name) ?? []), tensor]);
  const first = ({ part }: StoredTensor): number => part?.first ?? 0;
  return [...groups.values()].map((parts) => parts.toSorted((a, b) => first(a) - first(b)));
}

function sourceOf(engine: Pick<Engine, 'read'>, parts: readonly StoredTensor[]): TensorSource {
  const [tensor] = parts as [StoredTensor];
  const { dtype } = tensor.value;
  const elements = joinedParts(
    parts.map((part) => ({
      ...part,
      shape: part.value.shape,
      elements: inFileOrder(engine, part),
    })),
  );
  const shape = fileShape(tensor);
  return {
    name: tensor.name,
    dtype,
    shape,
    async *read() {
      for (const { first, count } of pieces(numElements(shape))) yield elements.read(first, count);
    },
  };
}

/** A parameter as a file holds it, or its part of a tensor; what it reads is finite. */
function inFileOrder(engine: Pick<Engine, 'read'>, { value, isTransposed }: StoredTensor): Elements {
  const inEngine = elementsOfEngine(engine, value);
  const elements = isTransposed ? transposed(inEngine, value.shape as [number, number]) : inEngine;
  return {
    elementBytes: elements.elementBytes,
    async read(first, count) {
      const bytes = await elements.read(first, count);
      const found = firstNotFinite(bytes, value.dtype);
      if (found !== undefined) throw notFiniteIn(value, found);
      return bytes;
    },
  };
}

const notFiniteIn = ({ name }: PlanValue, value: number): Error =>
  compactError('ERR_COMPACT_NOT_FINITE', `${name} holds ${value}`, {
    op: name,
    details: { tensor: name, value },
  });

const arrayTypes = {
  f32: Float32Array,
  bf16: Uint16Array,
  i32: Int32Array,
  u8: Uint8Array,
  i8: Int8Array,
} as const;

export const hostArray = (dtype: DType, { buffer, byteOffset, byteLength }: Uint8Array): HostArray =>
  new arrayTypes[dtype](buffer as ArrayBuffer, byteOffset, byteLength / dtypeBytes[dtype]);

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

const fileShape = (tensor: StoredTensor): readonly number[] =>
  shapeInFile({ ...tensor, shape: tensor.value.shape });

const describe = (dtype: string, shape: readonly number[]): string => `${dtype} (${shape.join(', ')})`;

function mismatch(path: string, name: string, expected: string, received: string): Error {
  return compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `${path}: ${name} does not fit this run`, {
    expected,
    received,
    remedy: 'Resume with the model, method and dtype that the checkpoint was made with',
  });
}
