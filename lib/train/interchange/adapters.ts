import { compactError } from '../../errors.js';
import { convertNumbers, isFloat, type FloatDType, type TensorReader } from '../../formats/index.js';
import { numElements, type Model } from '../../graph/index.js';
import {
  adapterScale,
  factorName,
  inverseNormsName,
  magnitudeName,
} from '../../methods/adaptation/low-rank-adapter.js';
import type { AdapterOptions } from '../../methods/index.js';
import { indexOfNotFinite } from '../weights/finite.js';
import { parameterShapes } from '../weights/model-weights.js';
import { notFinite } from '../weights/tensor-elements.js';

/** The two factors of an adapter as files hold them: A (rank, in_features) and B (out_features, rank). */
export interface Factors {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** What a decomposed weight multiplies each output by: its magnitude, over the norm of its direction (DoRA). */
export interface Magnitudes {
  readonly magnitudes: Float32Array;
  readonly inverseNorms: Float32Array;
}

/** What an adapter adds to a weight, `scale` A B, and what the sum is multiplied by. */
export interface Adapter {
  readonly rank: number;
  readonly scale: number;
  /** Of the factors in their file. */
  readonly dtype: FloatDType;
  /** @throws ERR_COMPACT_CHECKPOINT_READ, _INVALID for a number that is not finite */
  factors(): Promise<Factors>;
  /** Of outputs, in double precision by what reads them. Absent: the weight is the sum. */
  magnitudes?(): Promise<Magnitudes>;
}

/** Adapters by the parameter that they add to. */
export type Adapters = ReadonlyMap<string, Adapter>;

/**
 * The adapters of a checkpoint.
 * @param method its description, which tells rank and scale
 * @throws ERR_COMPACT_CHECKPOINT_MISMATCH for factors of another shape
 */
export function adaptersOfCheckpoint(
  files: TensorReader,
  model: Model,
  method: Readonly<Record<string, unknown>>,
): Adapters {
  if (method['loraAlpha'] === undefined) return new Map();
  const { r, ...others } = method as unknown as Required<AdapterOptions>;
  const scale = adapterScale({ r, ...others });
  const shapes = parameterShapes(model);
  const adapted = model.weights
    .map(({ parameter }) => parameter)
    .filter((parameter) => files.tensors.has(factorName(parameter, 'A')));
  return new Map(
    adapted.map((parameter): readonly [string, Adapter] => {
      const [inputs, outputs] = shapes.get(parameter)! as [number, number];
      const names = { a: factorName(parameter, 'A'), b: factorName(parameter, 'B') };
      const dtype = checkFactor(files, names.a, [r, inputs]);
      checkFactor(files, names.b, [outputs, r]);
      const factors = async (): Promise<Factors> => ({
        a: await readSingles(files, names.a),
        b: await readSingles(files, names.b),
      });
      const adapter = { rank: r, scale, dtype, factors };
      const [magnitude, norms] = [magnitudeName(parameter), inverseNormsName(parameter)];
      if (!files.tensors.has(magnitude)) return [parameter, adapter];
      checkFactor(files, magnitude, [outputs]);
      checkFactor(files, norms, [outputs]);
      const magnitudes = async (): Promise<Magnitudes> => ({
        magnitudes: await readSingles(files, magnitude),
        inverseNorms: await readSingles(files, norms),
      });
      return [parameter, { ...adapter, magnitudes }];
    }),
  );
}

/**
 * A factor's type.
 * @throws ERR_COMPACT_CHECKPOINT_MISMATCH where it has another shape, or is not there
 */
export function checkFactor(files: TensorReader, name: string, shape: readonly number[]): FloatDType {
  const found = files.tensors.get(name);
  if (found !== undefined && isFloat(found.dtype) && found.shape.join() === shape.join()) return found.dtype;
  throw compactError('ERR_COMPACT_CHECKPOINT_MISMATCH', `${files.path}: ${name} does not fit the model`, {
    op: name,
    expected: `(${shape.join(', ')}), in floating point`,
    received: found === undefined ? 'no such tensor' : `${found.dtype} (${found.shape.join(', ')})`,
    remedy: 'Name the model that the adapters were trained for',
  });
}

/** A whole tensor, which is small: a factor. */
export async function readSingles(files: TensorReader, name: string): Promise<Float32Array> {
  const { dtype, shape, byteLength } = files.tensors.get(name)!;
  const given = new Uint8Array(byteLength);
  await files.readInto(name, given, 0);
  const bytes = convertNumbers(given, dtype as FloatDType, 'f32');
  const numbers = new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, numElements(shape));
  const index = indexOfNotFinite(bytes, 'f32');
  if (index >= 0) throw notFinite(files.path, name, 'f32')(numbers[index]!);
  return numbers;
}
