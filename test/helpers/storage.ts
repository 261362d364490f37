/** Values as bytes in little-endian memory, by dtype. Offsets are multiples of the element's size. */
import { bf16OfFloat32, roundToBf16 } from '../reference/bf16.js';
import { mapElements, type Tensor } from '../reference/tensor.js';

export type DType = 'f32' | 'bf16' | 'i32' | 'u8' | 'i8';

export const elementBytes: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4, u8: 1, i8: 1 };

/** Elements as JavaScript holds them: bf16 as its 16 bits. */
export const elementArrays = {
  f32: Float32Array,
  bf16: Uint16Array,
  i32: Int32Array,
  u8: Uint8Array,
  i8: Int8Array,
} as const;

export function store(memory: Uint8Array, offset: number, values: Float64Array, dtype: DType): void {
  const elements = new elementArrays[dtype](
    memory.buffer as ArrayBuffer,
    memory.byteOffset + offset,
    values.length,
  );
  if (dtype === 'bf16') values.forEach((value, i) => (elements[i] = bf16OfFloat32(value)));
  else elements.set(values);
}

export function load(memory: Uint8Array, offset: number, length: number, dtype: DType): Float64Array {
  const elements = new elementArrays[dtype](memory.buffer as ArrayBuffer, memory.byteOffset + offset, length);
  if (dtype !== 'bf16') return Float64Array.from(elements);
  const words = Uint32Array.from(elements, (pattern) => pattern << 16);
  return Float64Array.from(new Float32Array(words.buffer));
}

/** The values that are left after storing a tensor as fp32 or bf16. */
export const rounded = (x: Tensor, dtype: DType): Tensor =>
  mapElements(x, dtype === 'bf16' ? roundToBf16 : Math.fround);
