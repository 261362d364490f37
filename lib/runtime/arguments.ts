import { types } from 'node:util';
import { compactError, nearestName } from '../errors.js';
import type { DType } from '../graph/index.js';
import type { HostArray } from './types.js';

/** Checks of what a caller hands over; arrays are told by their brand, as they may come from another realm. */
const arrays: Readonly<
  Record<DType, { make: (length: number) => HostArray; is: (value: unknown) => boolean; name: string }>
> = {
  f32: { make: (length) => new Float32Array(length), is: types.isFloat32Array, name: 'Float32Array' },
  bf16: { make: (length) => new Uint16Array(length), is: types.isUint16Array, name: 'Uint16Array' },
  i32: { make: (length) => new Int32Array(length), is: types.isInt32Array, name: 'Int32Array' },
  u8: { make: (length) => new Uint8Array(length), is: types.isUint8Array, name: 'Uint8Array' },
  i8: { make: (length) => new Int8Array(length), is: types.isInt8Array, name: 'Int8Array' },
};

export const newHostArray = (dtype: DType, length: number): HostArray => arrays[dtype].make(length);

export function checkHostArray(name: string, data: unknown, dtype: DType): asserts data is HostArray {
  if (arrays[dtype].is(data)) return;
  const received = ArrayBuffer.isView(data) ? Object.prototype.toString.call(data).slice(8, -1) : typeof data;
  throw compactError('ERR_COMPACT_TYPE', `${name}: wrong type of array`, {
    op: name,
    expected: `${arrays[dtype].name} (${dtype})`,
    received,
  });
}

/** A whole number within bounds. */
export function checkWholeNumber(name: string, value: unknown, smallest: number, largest: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= smallest && (value as number) <= largest)
    return value as number;
  throw compactError('ERR_COMPACT_ARGUMENT', `${name} is out of range`, {
    op: name,
    expected: `a whole number from ${smallest} to ${largest}`,
    received: String(value),
  });
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
  const nearest = nearestName(name, [...map.keys()]);
  throw compactError(code, `there is no ${what} ${JSON.stringify(name)}`, {
    op: name,
    expected: map.size === 0 ? 'none' : `one of ${listed([...map.keys()])}`,
    received: JSON.stringify(name),
    remedy: nearest === undefined ? undefined : `Did you mean '${nearest}'?`,
  });
}

const listed = (names: readonly string[]): string =>
  names.length <= 12 ? names.join(', ') : `${names.slice(0, 12).join(', ')} and ${names.length - 12} more`;
