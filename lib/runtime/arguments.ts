import { types } from 'node:util';
import { compactError, nearestName } from '../errors.js';
import type { DType } from '../graph/index.js';
import { shown } from '../options.js';
import type { HostArray } from './types.js';

interface ArrayKind {
  readonly name: string;
  make(length: number): HostArray;
  copy(array: HostArray): HostArray;
  is(value: unknown): boolean;
}

const kind = (
  Kind: { new (length: number): HostArray; new (array: HostArray): HostArray; readonly name: string },
  is: ArrayKind['is'],
): ArrayKind => ({
  name: Kind.name,
  make: (length) => new Kind(length),
  // By its inner slots, whatever properties it has been given.
  copy: (array) => new Kind(array),
  is,
});

/** Arrays are told by their brand, as they may come from another realm. */
const arrays: Readonly<Record<DType, ArrayKind>> = {
  f32: kind(Float32Array, types.isFloat32Array),
  bf16: kind(Uint16Array, types.isUint16Array),
  i32: kind(Int32Array, types.isInt32Array),
  u8: kind(Uint8Array, types.isUint8Array),
  i8: kind(Int8Array, types.isInt8Array),
};

/** @throws ERR_COMPACT_OUT_OF_MEMORY when the process can have no array of this length */
export function newHostArray(dtype: DType, length: number): HostArray {
  try {
    return arrays[dtype].make(length);
  } catch (cause) {
    throw compactError('ERR_COMPACT_OUT_OF_MEMORY', 'there is no memory for an array', {
      received: `${dtype} [${length}]`,
      remedy: 'Read or write it in parts',
      cause,
    });
  }
}

/**
 * A copy of a caller's array, which the caller may change at once. Its buffer may be shared or resizable.
 * @throws ERR_COMPACT_TYPE for another type of array, and for one whose buffer is detached or has shrunk
 */
export function copyOfHostArray(name: string, data: unknown, dtype: DType): HostArray {
  const expected = `${arrays[dtype].name} (${dtype})`;
  if (!arrays[dtype].is(data))
    throw compactError('ERR_COMPACT_TYPE', `${name}: wrong type of array`, {
      op: name,
      expected,
      received: ArrayBuffer.isView(data) ? Object.prototype.toString.call(data).slice(8, -1) : shown(data),
    });
  try {
    return arrays[dtype].copy(data as HostArray);
  } catch (cause) {
    const received =
      cause instanceof RangeError ? 'no memory for a copy' : 'an array whose buffer is detached';
    throw compactError('ERR_COMPACT_TYPE', `${name}: the array cannot be read`, {
      op: name,
      expected,
      received,
      cause,
    });
  }
}

/** An entry of a map by name, or an error that gives the nearest name. */
export function findNamed<T>(
  map: ReadonlyMap<string, T>,
  name: string,
  code: 'ERR_COMPACT_ENTRY_UNKNOWN' | 'ERR_COMPACT_VALUE_UNKNOWN' | 'ERR_COMPACT_ARGUMENT',
  what: string,
): T {
  const found = map.get(name);
  if (found !== undefined) return found;
  const nearest = typeof name === 'string' ? nearestName(name, [...map.keys()]) : undefined;
  throw compactError(code, `there is no ${what} ${shown(name)}`, {
    op: typeof name === 'string' ? name : what,
    expected: map.size === 0 ? 'none' : `one of ${listed([...map.keys()])}`,
    received: shown(name),
    remedy: nearest === undefined ? undefined : `Did you mean '${nearest}'?`,
  });
}

const listed = (names: readonly string[]): string =>
  names.length <= 12 ? names.join(', ') : `${names.slice(0, 12).join(', ')} and ${names.length - 12} more`;
