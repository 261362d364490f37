import type { Plan, PlanValue } from '../../compile/index.js';
import { compactError } from '../../errors.js';
import { toSingles, type FloatDType, type TensorReader } from '../../formats/index.js';
import { numElements, type Model, type StoredParameter } from '../../graph/index.js';
import { encodeInt8, encodeNf4, nf4Span } from '../../methods/weights/encode.js';
import type { Engine, HostArray } from '../../runtime/index.js';
import { checkAborted } from '../abort.js';
import { rowsIn, writeFileRows, type FileRows } from './file-rows.js';
import { commonDType, openModelWeights, parameterShapes, storedShape } from './model-weights.js';
import {
  convertedNumbers,
  evenRows,
  notFinite,
  pieces,
  transposed,
  type Elements,
} from './tensor-elements.js';
import { floatsOfFile } from './tensor-files.js';
import { partOf } from './tensor-parts.js';

/** What takes weights. */
export type WeightsEngine = Pick<Engine, 'write' | 'writeRows'>;

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
  loadInto(engine: WeightsEngine, plan: Plan, signal?: AbortSignal): Promise<void>;
}

/**
 * Opens weights in the layout of Hugging Face's checkpoints and checks them against a model, before any work: every tensor
 * is there, in the shape that the model's configuration gives it, in numbers that can be read, and nothing beside them
 * that would change what the model computes. A head that is tied to the embedding table may be left out, and so may the head
 * of another task be there and the model's own be missing.
 * @param path a folder with model.safetensors or its shards, such as a downloaded model or a checkpoint
 * @param options `isWhole`: for use as it is, so that the model's own head has to be there
 * @throws ERR_COMPACT_CHECKPOINT_MISSING, _READ, _TRUNCATED, _INVALID, or _MISMATCH with all names in `details`
 */
export async function openBaseModel(
  path: string,
  model: Model,
  { isWhole = false }: { readonly isWhole?: boolean } = {},
): Promise<BaseModel> {
  const files = await openModelWeights(path, model, 'baseModel', { isWhole });
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

async function loadWeights(
  files: TensorReader,
  model: Model,
  engine: WeightsEngine,
  plan: Plan,
  signal: AbortSignal | undefined,
): Promise<void> {
  const values = new Map(
    plan.values.filter(({ region }) => region === 'persistent').map((value) => [value.name, value]),
  );
  const shapes = parameterShapes(model);
  const present = model.weights.filter(({ tensor }) => files.tensors.has(tensor)); // a head may be new
  const rows = present.flatMap((stored): FileRows[] => {
    const { parameter, tensor } = stored;
    const value = values.get(parameter);
    if (value === undefined) return [];
    const { dtype } = floatsOfFile(files, tensor);
    return [{ value, tensor, dtype, ...rowsIn(storedShape(stored, shapes.get(parameter)!)) }];
  });
  await writeFileRows(engine, files, rows, signal);
  for (const stored of present) {
    const { parameter } = stored;
    if (!values.has(parameter))
      await loadCodes(files, stored, shapes.get(parameter)!, engine, values, signal);
  }
}

/** Writes a weight that the plan has in codes, which are made of it piece by piece in the order of the engine. */
async function loadCodes(
  files: TensorReader,
  stored: StoredParameter,
  shape: readonly number[],
  engine: WeightsEngine,
  values: ReadonlyMap<string, PlanValue>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { parameter, tensor, layout } = stored;
  const whole = floatsOfFile(files, tensor);
  const inFile = partOf(whole, storedShape(stored, shape));
  const isTransposed = layout === 'transposed';
  const elements = isTransposed ? transposed(inFile, shape.toReversed() as [number, number]) : inFile;
  const numbers = convertedNumbers(elements, whole.dtype, 'f32', notFinite(files.path, tensor, 'f32'));
  const target = codesOf(parameter, numElements(shape), shape.at(-1)!, values, numbers);
  for (const { first, count } of pieces(target.numElements)) {
    checkAborted(signal);
    const bytes = await target.elements.read(first, count);
    for (const { name, data, elementsOfOne } of target.partsOf(bytes))
      await engine.write(name, data, (first / elementsOfOne) * data.BYTES_PER_ELEMENT);
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

function codesOf(
  parameter: string,
  numElements: number,
  columns: number,
  values: ReadonlyMap<string, PlanValue>,
  numbers: Elements,
): Target {
  const part = (name: string, data: HostArray, elementsOfOne: number): Part => ({
    name: `${parameter}.${name}`,
    data,
    elementsOfOne,
  });
  switch (values.get(`${parameter}.codes`)?.dtype) {
    case 'i8':
      return {
        elements: numbers,
        numElements,
        partsOf: (bytes) => {
          const { codes, scales } = encodeInt8(toSingles(bytes, 'f32'));
          return [part('codes', codes, 1), part('scales', scales, 256)];
        },
      };
    case 'u8':
      return {
        elements: evenRows(numbers, columns),
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
