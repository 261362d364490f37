import { compactError } from '../../errors.js';
import { shown } from '../../options.js';
import { numElements, type DType, type Value } from '../value.js';

// Checks of operands, by signatures and by builders: a builder checks what its op's signature cannot say.

/** What is checked of a value, or of one that is to be. */
export type Tensor = Pick<Value, 'name' | 'shape' | 'dtype'>;

export const floatDtypes: readonly DType[] = ['f32', 'bf16'];

/** A shape, with undefined for a dimension of any size. */
export function requireShape(op: string, value: Tensor, expected: readonly (number | undefined)[]): void {
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

export function requireDtype(op: string, value: Tensor, ...expected: readonly DType[]): void {
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

export function requireSameElements(op: string, first: Tensor, other: Tensor): void {
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

export function requireSoftCap(op: string, cap: number): void {
  requireArgument(op, 'softCap', cap, cap > 0 && cap < Infinity, 'a number above 0');
}

/** The attribute of ops that cap what they make; none where there is no cap. */
export function softCapOf(
  op: string,
  { softCap }: { readonly softCap?: number },
): { readonly softCap?: number } {
  if (softCap === undefined) return {};
  requireSoftCap(op, softCap);
  return { softCap };
}

/** Query heads of a whole size, and key and value heads that each serve as many of them. */
export function requireHeads(op: string, q: Value, k: Value, headSize: number): void {
  const [, width] = requireMatrix(op, q);
  const [, kvWidth] = requireMatrix(op, k);
  requireArgument(op, 'headSize', headSize, headSize > 0 && width % headSize === 0, `a divisor of ${width}`);
  if (kvWidth % headSize !== 0 || width % kvWidth !== 0)
    throw compactError('ERR_COMPACT_SHAPE', `${op}: key and value heads do not divide the query heads`, {
      op,
      expected: `a width that divides ${width} into whole heads of ${headSize}`,
      received: `${kvWidth}`,
    });
}

/** Elements of the first input: the unit of an element-wise op's cost. */
export const firstInputElements = (node: { readonly inputs: readonly (Value | undefined)[] }): number =>
  numElements(node.inputs[0]!.shape);
