// W + s A B of a weight and its adapter, times magnitudes where it has them, in double precision, in the layout of the weight's
// file, a range of elements at a time: no whole weight is ever in memory, only the factors of one.
import { convertNumbers, type TensorReader } from '../../formats/index.js';
import type { Model } from '../../graph/index.js';
import { byTensor, parameterShapes, storedShape } from '../weights/model-weights.js';
import { floatsOfFile } from '../weights/tensor-files.js';
import { shapeInFile, type StoredShape } from '../weights/tensor-parts.js';
import type { Adapter, Adapters, Factors } from './adapters.js';
import { withMadeTensors, type MadeTensor } from './tensor-view.js';

/** An adapter, and where in the tensor of a file its weight stands. */
type Placed = StoredShape & { readonly adapter: Adapter };
/** The same with its factors in memory. */
type Loaded = StoredShape &
  Factors &
  Pick<Adapter, 'rank' | 'scale'> & {
    /** Of each output. */
    readonly gains: Float64Array | undefined;
  };

/** The files of weights with adapters added to them; tensors that have one are f64, to be rounded once. */
export function mergedWeights(files: TensorReader, model: Model, adapters: Adapters): TensorReader {
  const shapes = parameterShapes(model);
  const adapted = model.weights.filter(({ parameter }) => adapters.has(parameter));
  const load = latestOnly(loadFactors);
  const made = [...byTensor(adapted)].map(([tensor, group]): readonly [string, MadeTensor] => {
    const placed = group.map((stored) => ({
      ...storedShape(stored, shapes.get(stored.parameter)!),
      adapter: adapters.get(stored.parameter)!,
    }));
    const weight = floatsOfFile(files, tensor);
    const read = async (first: number, count: number): Promise<Uint8Array> => {
      const numbers = convertNumbers(await weight.read(first, count), weight.dtype, 'f64');
      const sums = new Float64Array(numbers.buffer as ArrayBuffer, numbers.byteOffset, count);
      for (const adapter of await load(placed))
        (adapter.isTransposed ? addRows : addColumns)(sums, first, adapter);
      return numbers;
    };
    return [tensor, { dtype: 'f64', shape: shapeInFile(placed[0]!), elements: { elementBytes: 8, read } }];
  });
  return withMadeTensors(files, new Map(made));
}

const loadFactors = (placed: readonly Placed[]): Promise<readonly Loaded[]> =>
  Promise.all(
    placed.map(async ({ adapter, ...stored }) => ({
      ...stored,
      rank: adapter.rank,
      scale: adapter.scale,
      ...(await adapter.factors()),
      gains: await gainsOf(adapter),
    })),
  );

async function gainsOf({ magnitudes: read }: Adapter): Promise<Float64Array | undefined> {
  if (read === undefined) return undefined;
  const { magnitudes, inverseNorms } = await read();
  return Float64Array.from(magnitudes, (magnitude, output) => magnitude * inverseNorms[output]!);
}

/** The same function, which remembers what it gave for the latest argument. */
function latestOnly<T, R>(load: (argument: T) => Promise<R>): (argument: T) => Promise<R> {
  let latest: { readonly argument: T; readonly result: Promise<R> } | undefined;
  return (argument) => {
    if (latest?.argument !== argument) latest = { argument, result: load(argument) };
    return latest.result;
  };
}

/** Adds the rows that a range of (out_features, in_features) has of an adapter's weight. */
function addRows(sums: Float64Array, first: number, { shape, part, rank, scale, a, b, gains }: Loaded): void {
  const [inputs, outputs] = shape as [number, number];
  const offset = part?.first ?? 0;
  const end = first + sums.length;
  const lastRow = Math.min(outputs, Math.ceil(end / inputs) - offset);
  for (let row = Math.max(0, Math.floor(first / inputs) - offset); row < lastRow; row++) {
    const start = (offset + row) * inputs;
    const columns = [Math.max(0, first - start), Math.min(inputs, end - start)] as const;
    for (let k = 0; k < rank; k++) {
      const factor = scale * b[row * rank + k]!;
      const [of, to] = [k * inputs, start - first];
      for (let i = columns[0]; i < columns[1]; i++) sums[to + i]! += factor * a[of + i]!;
    }
    const gain = gains?.[row] ?? 1;
    for (let i = columns[0]; i < columns[1]; i++) sums[start - first + i]! *= gain;
  }
}

/** Adds the columns that a range of (in_features, out_features) has of an adapter's weight. */
function addColumns(
  sums: Float64Array,
  first: number,
  { shape, part, rank, scale, a, b, gains }: Loaded,
): void {
  const [inputs, outputs] = shape as [number, number];
  const { first: offset, of: stride } = part ?? { first: 0, of: outputs };
  const end = first + sums.length;
  const lastRow = Math.min(inputs, Math.ceil(end / stride));
  for (let row = Math.floor(first / stride); row < lastRow; row++) {
    const start = row * stride + offset;
    const lastColumn = Math.min(outputs, end - start);
    for (let column = Math.max(0, first - start); column < lastColumn; column++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += b[column * rank + k]! * a[k * inputs + row]!;
      const at = start - first + column;
      sums[at] = (sums[at]! + scale * sum) * (gains?.[column] ?? 1);
    }
  }
}
