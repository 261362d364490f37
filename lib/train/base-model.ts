import type { Plan, PlanValue } from '../compile/index.js';
import { compactError } from '../errors.js';
import { isFloat, openWeights, toSingles, type FloatDType, type TensorReader } from '../formats/index.js';
import { Graph, numElements, type Model, type StoredParameter } from '../graph/index.js';
import { encodeInt8, encodeNf4, nf4Span } from '../methods/weights/encode.js';
import type { Engine, HostArray } from '../runtime/index.js';
import { checkAborted } from './abort.js';
import {
  convertedNumbers,
  evenRows,
  notFinite,
  pieces,
  transposed,
  type Elements,
} from './tensor-elements.js';
import { elementsOfFile, hostArray } from './tensor-files.js';
import { partOf, shapeInFile, type StoredShape } from './tensor-parts.js';

/** Weights that a run starts from, in files that were found to fit the model; nothing of them has been read yet. */
export interface BaseModel extends AsyncDisposable {
  readonly path: string;
  /** Of the numbers in the files: that of most of them. */
  readonly dtype: FloatDType;
  /** Parameters that the files do not have: those of a head of its own, which starts from its initializers. */
  readonly newParameters: readonly string[];
  /**
   * Writes the weights into an engine that has loaded the plan, in the numbers or the codes that the plan has for them.
   * @throws ERR_COMPACT_CHECKPOINT_READ, ERR_COMPACT_CHECKPOINT_INVALID, ERR_COMPACT_ABORTED
   */
  loadInto(engine: Pick<Engine, 'write'>, plan: Plan, signal?: AbortSignal): Promise<void>;
}

/**
 * Opens weights in the layout of Hugging Face's checkpoints and checks them against a model, before any work: every tensor
 * is there, in the shape that the model's configuration gives it, in numbers that can be read, and nothing beside them
 * that would change what the model computes. A head that is tied to the embedding table may be left out, and so may the head
 * of another task be there and the model's own be missing.
 * @param path a folder with model.safetensors or its shards, such as a downloaded model or a checkpoint
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED, _INVALID, or _MISMATCH with all names in `details`
 */
export async function openBaseModel(path: string, model: Model): Promise<BaseModel> {
  const files = await openModelWeights(path, model, 'baseModel');
  return {
    path,
    dtype: commonDType(files),
    newParameters: model.weights
      .filter(({ tensor }) => !files.tensors.has(tensor))
      .map(({ parameter }) => parameter),
    loadInto: (engine, plan, signal) => loadWeights(files, model, engine, plan, signal),
    [Symbol.asyncDispose]: () => files.close(),
  };
}

/** The type that weights are computed with: their own, of the two that there are. */
export const computedDType = ({ dtype }: Pick<BaseModel, 'dtype'>): 'f32' | 'bf16' =>
  dtype === 'f32' || dtype === 'f64' ? 'f32' : 'bf16';

/**
 * The files alone, checked in the same way.
 * @param op the option that names them, for the error
 */
export async function openModelWeights(path: string, model: Model, op: string): Promise<TensorReader> {
  const files = renamed(await openWeights(path), model);
  try {
    checkTensors(files, model, op);
    return files;
  } catch (error) {
    await files.close();
    throw error;
  }
}

// ---- What is there

/** Tables and masks that models compute anew; older files hold them. */
const isComputed = (name: string): boolean => /\.(rotary_emb\.inv_freq|attn\.(masked_)?bias)$/.test(name);

/** Norms of the first BERTs have names of their own. */
const presentName = (name: string): string =>
  name.replace(/\.LayerNorm\.gamma$/, '.LayerNorm.weight').replace(/\.LayerNorm\.beta$/, '.LayerNorm.bias');

/** Files under the names that their tensors have today, and in a whole model where they are of a body alone, as GPT-2 is published. */
function renamed(files: TensorReader, { bodyPrefix, weights }: Model): TensorReader {
  const names = [...files.tensors.keys()];
  const isWhole = bodyPrefix === undefined || names.some((name) => name.startsWith(bodyPrefix));
  if (isWhole && names.every((name) => presentName(name) === name)) return files;
  const ofModel = new Set(weights.map(({ tensor }) => tensor));
  const nameOf = (name: string): string => (isWhole || ofModel.has(name) ? name : bodyPrefix + name);
  const ownNames = new Map(names.map((name) => [nameOf(presentName(name)), name]));
  return {
    path: files.path,
    tensors: new Map([...ownNames].map(([name, own]) => [name, files.tensors.get(own)!])),
    readInto: (name, target, byteOffset) => files.readInto(ownNames.get(name)!, target, byteOffset),
    close: () => files.close(),
    [Symbol.asyncDispose]: () => files.close(),
  };
}

function checkTensors(files: TensorReader, model: Model, op: string): void {
  const shapes = parameterShapes(model);
  const missing: string[] = [];
  const wrong: string[] = [];
  const known = new Set<string>();
  for (const stored of model.weights) {
    const expected = shapeInFile(storedShape(stored, shapes.get(stored.parameter)!));
    const tied = (stored.tiedTensors ?? []).filter((name) => files.tensors.has(name));
    for (const name of [stored.tensor, ...tied]) {
      if (known.has(name)) continue; // another part of it
      known.add(name);
      const found = files.tensors.get(name);
      if (found === undefined && stored.isOwnHead && op === 'baseModel') continue;
      if (found === undefined) missing.push(name);
      else if (!isFloat(found.dtype) || found.shape.join() !== expected.join())
        wrong.push(`${name}: ${found.dtype} (${found.shape.join(', ')}), not (${expected.join(', ')})`);
    }
  }
  const isOther = (name: string): boolean =>
    op === 'baseModel' && (model.otherHeads ?? []).some((prefix) => name.startsWith(prefix));
  const unexpected = [...files.tensors]
    .filter(([name, { dtype }]) => isFloat(dtype) && !known.has(name) && !isComputed(name) && !isOther(name))
    .map(([name]) => name);
  if (missing.length + wrong.length + unexpected.length === 0) return;
  const found = [
    ...(missing.length > 0 ? [`without ${listed(missing)}`] : []),
    ...(wrong.length > 0 ? [`with ${listed(wrong)}`] : []),
    ...(unexpected.length > 0 ? [`with ${listed(unexpected)}, which the model has no place for`] : []),
  ];
  throw compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `the weights of ${files.path} are not the model's`, {
    op,
    expected: `the ${model.weights.length} tensors of ${model.name}, in its shapes and floating point`,
    received: found.join('; '),
    remedy: remedyFor(missing, wrong, unexpected),
    details: { missing, wrong, unexpected },
  });
}

function remedyFor(
  missing: readonly string[],
  wrong: readonly string[],
  unexpected: readonly string[],
): string {
  if (unexpected.some((name) => /\.lora_[AB]\./.test(name)))
    return 'Merge the adapters into the weights first, or start from the model that they were trained for';
  if (missing.join() === 'lm_head.weight' && wrong.length + unexpected.length === 0)
    return 'If its head is the embedding table, set tieWordEmbeddings: true';
  return 'Leave out model, so that the config.json beside these files is used, or download both again';
}

const listed = (names: readonly string[]): string =>
  names.length <= 4 ? names.join(', ') : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;

/** Shapes of the parameters by name, as the model builds them. */
function parameterShapes(model: Model): ReadonlyMap<string, readonly number[]> {
  const graph = new Graph();
  model.build(graph, { batchSize: 1, sequenceLength: 1, dtype: 'f32', purpose: 'evaluate' });
  return new Map(graph.parameters.map(({ name, shape }) => [name, shape]));
}

const storedShape = ({ layout, part }: StoredParameter, shape: readonly number[]): StoredShape => ({
  shape,
  isTransposed: layout === 'transposed',
  part,
});

function commonDType({ tensors }: TensorReader): FloatDType {
  const bytes = new Map<FloatDType, number>();
  for (const { dtype, byteLength } of tensors.values())
    if (isFloat(dtype)) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  return [...bytes].reduce((most, other) => (other[1] > most[1] ? other : most))[0];
}

// ---- Its way into an engine

async function loadWeights(
  files: TensorReader,
  model: Model,
  engine: Pick<Engine, 'write'>,
  plan: Plan,
  signal: AbortSignal | undefined,
): Promise<void> {
  const values = new Map(
    plan.values.filter(({ region }) => region === 'persistent').map((value) => [value.name, value]),
  );
  const shapes = parameterShapes(model);
  for (const stored of model.weights) {
    const { parameter, tensor } = stored;
    const shape = shapes.get(parameter)!;
    if (!files.tensors.has(tensor)) continue; // a head that is new
    const from = files.tensors.get(tensor)!.dtype as FloatDType; // checked
    const inFile = partOf(
      elementsOfFile(files, tensor, { f64: 8, f32: 4, bf16: 2, f16: 2 }[from]),
      storedShape(stored, shape),
    );
    const isTransposed = stored.layout === 'transposed';
    const elements = isTransposed ? transposed(inFile, shape.toReversed() as [number, number]) : inFile;
    const numbersAs = (dtype: 'f32' | 'bf16'): Elements =>
      convertedNumbers(elements, from, dtype, notFinite(files.path, tensor, dtype));
    const target = targetOf(parameter, numElements(shape), shape.at(-1)!, values, numbersAs);
    for (const { first, count } of pieces(target.numElements)) {
      checkAborted(signal);
      const bytes = await target.elements.read(first, count);
      for (const { name, data, elementsOfOne } of target.partsOf(bytes))
        await engine.write(name, data, (first / elementsOfOne) * data.BYTES_PER_ELEMENT);
    }
  }
}

/** What is written of a persistent value for a piece of a weight. */
interface Part {
  readonly name: string;
  readonly data: HostArray;
  /** Elements of the weight for each element of the value. */
  readonly elementsOfOne: number;
}

/** A weight as the plan has it: elements in the order in which it takes them, and what becomes of a piece of them. */
interface Target {
  readonly elements: Elements;
  readonly numElements: number;
  partsOf(bytes: Uint8Array): readonly Part[];
}

function targetOf(
  parameter: string,
  numElements: number,
  columns: number,
  values: ReadonlyMap<string, PlanValue>,
  numbersAs: (dtype: 'f32' | 'bf16') => Elements,
): Target {
  const dtype = values.get(parameter)?.dtype as 'f32' | 'bf16' | undefined;
  if (dtype !== undefined)
    return {
      elements: numbersAs(dtype),
      numElements,
      partsOf: (bytes) => [{ name: parameter, data: hostArray(dtype, bytes), elementsOfOne: 1 }],
    };
  const part = (name: string, data: HostArray, elementsOfOne: number): Part => ({
    name: `${parameter}.${name}`,
    data,
    elementsOfOne,
  });
  switch (values.get(`${parameter}.codes`)?.dtype) {
    case 'i8':
      return {
        elements: numbersAs('f32'),
        numElements,
        partsOf: (bytes) => {
          const { codes, scales } = encodeInt8(toSingles(bytes, 'f32'));
          return [part('codes', codes, 1), part('scales', scales, 256)];
        },
      };
    case 'u8':
      return {
        elements: evenRows(numbersAs('f32'), columns),
        numElements: (numElements / columns) * (columns + (columns % 2)),
        partsOf: (bytes) => {
          const { codes, magnitudes, ranges } = encodeNf4(toSingles(bytes, 'f32'));
          return [
            part('codes', codes, 2),
            part('magnitudes', magnitudes, 64),
            part('ranges', ranges, nf4Span / 2),
          ];
        },
      };
    default:
      throw compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `the plan has no place for ${parameter}`, {
        op: parameter,
      });
  }
}

/** Whether a plan has parameters that no file of the model's weights holds, in numbers or in codes: adapters. */
export function addsParameters({ values }: Plan, { weights }: Model): boolean {
  const suffixes = ['', '.codes', '.scales', '.magnitudes', '.ranges'];
  const known = new Set(weights.flatMap(({ parameter }) => suffixes.map((suffix) => parameter + suffix)));
  return values.some(
    ({ region, kind, name }) => region === 'persistent' && kind === 'parameter' && !known.has(name),
  );
}
