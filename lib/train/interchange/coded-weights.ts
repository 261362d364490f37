import type { TensorReader } from '../../formats/index.js';
import { nf4Shapes, numElements, type Model } from '../../graph/index.js';
import { codedRun, decodeInt8, decodeNf4 } from '../../methods/weights/decode.js';
import { int8GroupSize } from '../../methods/weights/int8.js';
import { blocksPerSpan } from '../../methods/weights/encode.js';
import { byTensor, parameterShapes, storedShape } from '../weights/model-weights.js';
import { transposed, withoutEvenRows, type Elements } from '../weights/tensor-elements.js';
import { joinedParts, shapeInFile } from '../weights/tensor-parts.js';
import { withMadeTensors, type MadeTensor } from './tensor-view.js';

/*
 * Checkpoints hold weights in int8 or NF4 as codes, in the order of the graph, beside what scales them. Here they are
 * tensors like any other: the numbers that the codes stand for, in f32, decoded while they are read.
 */

const partsOfCodes = ['codes', 'scales', 'magnitudes', 'ranges'];

/** The files of a checkpoint, with numbers in the place of codes. */
export function withoutCodes(files: TensorReader, model: Model): TensorReader {
  const shapes = parameterShapes(model);
  const coded = model.weights.filter(({ parameter }) => files.tensors.has(`${parameter}.codes`));
  if (coded.length === 0) return files;
  const made = [...byTensor(coded)].map(([tensor, group]): readonly [string, MadeTensor] => {
    const parts = group.map((stored) => {
      const shape = shapes.get(stored.parameter)! as [number, number];
      const inGraph = decoded(files, stored.parameter, shape);
      const stands = storedShape(stored, shape);
      return { ...stands, elements: stands.isTransposed ? transposed(inGraph, shape) : inGraph };
    });
    return [tensor, { dtype: 'f32', shape: shapeInFile(parts[0]!), elements: joinedParts(parts) }];
  });
  const hidden = new Set(
    coded.flatMap(({ parameter }) => partsOfCodes.map((part) => `${parameter}.${part}`)),
  );
  return withMadeTensors(files, new Map(made), (name) => !hidden.has(name));
}

function decoded(files: TensorReader, parameter: string, shape: readonly [number, number]): Elements {
  const read = async (part: string, first: number, count: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(count);
    await files.readInto(`${parameter}.${part}`, bytes, first);
    return bytes;
  };
  const singles = async (part: string, first: number, count: number): Promise<Float32Array> =>
    new Float32Array((await read(part, 4 * first, 4 * count)).buffer);
  if (files.tensors.has(`${parameter}.scales`))
    return inRuns(numElements(shape), codedRun.int8, async (first, count) => {
      const codes = new Int8Array((await read('codes', first, count)).buffer);
      const scales = await singles('scales', first / int8GroupSize, Math.ceil(count / int8GroupSize));
      return decodeInt8({ codes, scales });
    });
  const [rows, bytesOfRow] = nf4Shapes(shape).codes as [number, number];
  const padded = inRuns(2 * rows * bytesOfRow, codedRun.nf4, async (first, count) => {
    const span = first / codedRun.nf4;
    const numSpans = Math.ceil(count / codedRun.nf4);
    return decodeNf4({
      codes: await read('codes', first / 2, count / 2),
      magnitudes: await read('magnitudes', span * blocksPerSpan, numSpans * blocksPerSpan),
      ranges: await singles('ranges', 2 * span, 2 * numSpans),
    });
  });
  return withoutEvenRows(padded, shape[1]);
}

/** Elements of f32 that are decoded from the start of a run of them on. */
const inRuns = (
  total: number,
  run: number,
  decode: (first: number, count: number) => Promise<Float32Array>,
): Elements => ({
  elementBytes: 4,
  async read(first, count) {
    const begin = Math.floor(first / run) * run;
    const end = Math.min(total, Math.ceil((first + count) / run) * run);
    const numbers = await decode(begin, end - begin);
    return new Uint8Array(numbers.slice(first - begin, first - begin + count).buffer);
  },
});
