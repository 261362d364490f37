import type { FloatDType, TensorReader } from '../../formats/index.js';
import { numElements } from '../../graph/index.js';
import type { Elements } from '../weights/tensor-elements.js';

/** A tensor that is made while it is read. */
export interface MadeTensor {
  readonly dtype: FloatDType;
  /** In the file that it would stand in. */
  readonly shape: readonly number[];
  /** In that dtype. */
  readonly elements: Elements;
}

/**
 * Files in which some tensors are made of others.
 * @param isShown whether a tensor that is not made is still seen
 */
export function withMadeTensors(
  files: TensorReader,
  made: ReadonlyMap<string, MadeTensor>,
  isShown: (name: string) => boolean = () => true,
): TensorReader {
  const shown = [...files.tensors].filter(([name]) => !made.has(name) && isShown(name));
  const entries = [...made].map(([name, { dtype, shape, elements }]) => {
    const byteLength = numElements(shape) * elements.elementBytes;
    return [name, { dtype, shape, byteOffset: 0, byteLength }] as const;
  });
  return {
    path: files.path,
    tensors: new Map([...shown, ...entries]),
    async readInto(name, target, byteOffset) {
      const elements = made.get(name)?.elements;
      if (elements === undefined) return files.readInto(name, target, byteOffset);
      const { elementBytes } = elements;
      target.set(await elements.read(byteOffset / elementBytes, target.byteLength / elementBytes));
    },
    close: () => files.close(),
    [Symbol.asyncDispose]: () => files.close(),
  };
}
