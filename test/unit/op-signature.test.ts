import { expect, test } from '@jest/globals';
import { defineOp } from '../../lib/graph/define-op.js';
import { parseSignature, presentOutputs } from '../../lib/graph/signature.js';

const plain = { isOptional: false };

test('operands, their dtypes and sizes', () => {
  const { inputs, outputs } = parseSignature('x:T[n,*] mask?:u8[#e] -> y:T[1,n] rstd:f32[n]');
  expect(inputs).toEqual([
    { name: 'x', dtype: 'T', sizes: ['n', '*'], isOptional: false },
    { name: 'mask', dtype: 'u8', sizes: ['#e'], isOptional: true },
  ]);
  expect(outputs).toEqual([
    { ...plain, name: 'y', dtype: 'T', sizes: ['1', 'n'] },
    { ...plain, name: 'rstd', dtype: 'f32', sizes: ['n'] },
  ]);
});

test('updates, of a whole tensor or one element, and accumulators', () => {
  const signature = parseSignature(
    'a:T[n] sums?:f32[p] accumulator?:C[n] -> =a =sums[index] c=accumulator:C[n]',
  );
  expect(signature.outputs).toEqual([
    { ...plain, name: 'a', dtype: 'T', sizes: ['n'], updates: 0 },
    { name: 'sums', dtype: 'f32', sizes: ['p'], isOptional: true, updates: 1, element: 'index' },
    { ...plain, name: 'c', dtype: 'C', sizes: ['n'], accumulates: 2 },
  ]);
  const namesWith = (inputs: readonly unknown[]) => presentOutputs(signature, inputs).map(({ name }) => name);
  expect(namesWith(['a', 'sums', undefined])).toEqual(['a', 'sums', 'c']);
  expect(namesWith(['a', undefined, undefined])).toEqual(['a', 'c']);
});

test('attributes with and without defaults, no inputs', () => {
  const { inputs, attributes } = parseSignature('-> y:T[#e]', 'epsilon ignoreIndex=-100 scale=0.5');
  expect(inputs).toEqual([]);
  expect(attributes).toEqual({ epsilon: undefined, ignoreIndex: -100, scale: 0.5 });
});

test('what follows from a definition', () => {
  const { updates, elementUpdates, accumulators, inPlace, identity } = defineOp({
    name: 'test',
    family: 'plumbing',
    computes: '',
    operands: 'x:T[#e] sums?:f32[p] accumulator?:C[#e] -> y:T[#e] =sums[index] c=accumulator:C[#e]',
    attributes: 'index tensorId accumulate=0',
    mayShare: 'y=x c=x',
    identifiedBy: 'tensorId',
    recompute: 'cheap',
    pure: false,
    flops: () => 0,
  });
  expect(updates).toEqual([[1, 1]]);
  expect(elementUpdates).toEqual([[1, 'index']]);
  expect(accumulators).toEqual([[2, 2]]);
  expect(inPlace).toEqual([
    [0, 0],
    [2, 0],
  ]);
  expect(identity).toEqual(['tensorId', 'index']);
});
