/** Values as bytes in little-endian memory, by dtype. */
import { bf16OfFloat32, float32OfBf16, roundToBf16 } from '../reference/bf16.js';
import { mapElements, type Tensor } from '../reference/tensor.js';

export type DType = 'f32' | 'bf16' | 'i32' | 'u8' | 'i8';

export const elementBytes: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4, u8: 1, i8: 1 };

const setters: Readonly<Record<DType, (view: DataView, offset: number, value: number) => void>> = {
  f32: (view, offset, value) => view.setFloat32(offset, value, true),
  bf16: (view, offset, value) => view.setUint16(offset, bf16OfFloat32(value), true),
  i32: (view, offset, value) => view.setInt32(offset, value, true),
  u8: (view, offset, value) => view.setUint8(offset, value),
  i8: (view, offset, value) => view.setInt8(offset, value),
};

const getters: Readonly<Record<DType, (view: DataView, offset: number) => number>> = {
  f32: (view, offset) => view.getFloat32(offset, true),
  bf16: (view, offset) => float32OfBf16(view.getUint16(offset, true)),
  i32: (view, offset) => view.getInt32(offset, true),
  u8: (view, offset) => view.getUint8(offset),
  i8: (view, offset) => view.getInt8(offset),
};

export function store(memory: Uint8Array, offset: number, values: Float64Array, dtype: DType): void {
  const view = new DataView(memory.buffer, memory.byteOffset + offset);
  values.forEach((value, i) => setters[dtype](view, i * elementBytes[dtype], value));
}

export function load(memory: Uint8Array, offset: number, length: number, dtype: DType): Float64Array {
  const view = new DataView(memory.buffer, memory.byteOffset + offset);
  return Float64Array.from({ length }, (_, i) => getters[dtype](view, i * elementBytes[dtype]));
}

/** The values that are left after storing a tensor as fp32 or bf16. */
export const rounded = (x: Tensor, dtype: DType): Tensor =>
  mapElements(x, dtype === 'bf16' ? roundToBf16 : Math.fround);
