import { compactError } from '../../errors.js';
import { shown } from '../../options.js';
import { numElements, type DType, type Value } from '../value.js';

// What builders check of their operands. A wrong shape is a mistake of the model's author, so the error names the op,
// the value and both shapes; the engine checks every instruction of a plan once more against its own table.

export const floatDtypes: readonly DType[] = ['f32', 'bf16'];

/** A shape, with undefined for a dimension of any size. */
export function requireShape(op: string, value: Value, expected: readonly (number | undefined)[]): void {
  const fits =
    value.shape.length === expected.length &&
    expected.every((size, index) => size === undefined || size === value.shape[index]);
  if (!fits)
    throw compactError('ERR_COMPACT_SHAPE', `${op}: ${value.name} has the wrong shape`, {
      op,
      expected: `[${expected.map((size) => size ?? 'any').join(', ')}]`,
      received: `[${value.shape.join(', ')}]`,
    });
}

export function requireDtype(op: string, value: Value, ...expected: readonly DType[]): void {
  if (!expected.includes(value.dtype))
    throw compactError('ERR_COMPACT_TYPE', `${op}: ${value.name} has the wrong dtype`, {
      op,
      expected: expected.join(' or '),
      received: value.dtype,
    });
}

/** Rows and columns of a matrix of floating-point numbers. */
export function requireMatrix(op: string, value: Value): readonly [number, number] {
  requireDtype(op, value, ...floatDtypes);
  requireShape(op, value, [undefined, undefined]);
  return value.shape as readonly [number, number];
}

/** Operands of an element-wise op: as many elements and the same floating-point dtype as the first. */
export function requireAlike(op: string, first: Value, ...others: readonly Value[]): void {
  requireDtype(op, first, ...floatDtypes);
  for (const other of others) {
    requireDtype(op, other, first.dtype);
    requireSameElements(op, first, other);
  }
}

export function requireSameElements(op: string, first: Value, other: Value): void {
  if (numElements(other.shape) !== numElements(first.shape))
    throw compactError('ERR_COMPACT_SHAPE', `${op}: ${other.name} and ${first.name} differ in size`, {
      op,
      expected: `[${first.shape.join(', ')}]`,
      received: `[${other.shape.join(', ')}]`,
    });
}

export function requireArgument(
  op: string,
  name: string,
  value: number,
  isValid: boolean,
  expected: string,
): void {
  if (!isValid)
    throw compactError('ERR_COMPACT_ARGUMENT', `${op}: ${name} is out of range`, {
      op,
      expected,
      received: shown(value),
    });
}

/** Elements of the first input: the unit of an element-wise op's cost. */
export const firstInputElements = (node: { readonly inputs: readonly (Value | undefined)[] }): number =>
  numElements(node.inputs[0]!.shape);
