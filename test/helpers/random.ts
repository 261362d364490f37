/** Deterministic test data. */
import { half, philox } from '../reference/philox.js';
import { normalOfBits } from '../reference/projection.js';
import { numElements, type Tensor, tensor } from '../reference/tensor.js';

/** A stream of its own for every name, so that data does not change when a test is moved. */
function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const letter of name) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return hash;
}

/** Normal values (about 1e-4 apart) times `deviation`. */
export function randomTensor(name: string, shape: readonly number[], deviation = 1): Tensor {
  const stream = streamOf(name);
  const values = new Float64Array(numElements(shape));
  for (let e = 0; e < values.length; e += 8) {
    const words = philox([e / 8, 0, 0, 0], [stream, 1]);
    for (let i = e; i < Math.min(e + 8, values.length); i++)
      values[i] = deviation * normalOfBits(half(words, i % 8));
  }
  return { shape, data: values };
}

/** Whole numbers from 0 to limit - 1. */
export function randomIntegers(name: string, shape: readonly number[], limit: number): Tensor {
  const stream = streamOf(name);
  const values = Array.from({ length: numElements(shape) }, (_, e) => {
    const [word] = philox([e, 0, 0, 0], [stream, 2]);
    return word % limit;
  });
  return tensor(shape, values);
}
