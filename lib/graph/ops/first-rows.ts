import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { requireArgument, requireMatrix } from './checks.js';

/** The first row of each of `parts` equal parts of x: (tokens, features) to (parts, features). */
export function firstRows(x: Value, parts: number): Value {
  const [rows, width] = requireMatrix('firstRows', x);
  requireArgument('firstRows', 'parts', parts, parts > 0 && rows % parts === 0, `a divisor of ${rows}`);
  return callOp(firstRowsOp, [x], {}, { y: { shape: [parts, width] } })[0]!;
}

/** Gradient of x with `rows` rows, from the gradient of the first rows of its parts. */
export function firstRowsBackward(dy: Value, rows: number): Value {
  const [parts, width] = requireMatrix('firstRowsBackward', dy);
  requireArgument('firstRowsBackward', 'rows', rows, rows % parts === 0, `a multiple of ${parts}`);
  return callOp(firstRowsBackwardOp, [dy], {}, { dx: { shape: [rows, width] } })[0]!;
}

export const firstRowsOp: OpDefinition = defineOp({
  name: 'firstRows',
  family: 'plumbing',
  computes: 'the first row of each of m equal parts of x (of every sequence, its first token)',
  operands: 'x:T[n,h] -> y:T[m,h]',
  recompute: 'cheap',
  pure: true,
  flops: () => 0,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? firstRowsBackward(outputGradients[0]!, node.inputs[0]!.shape[0]!) : undefined,
  ],
});

export const firstRowsBackwardOp: OpDefinition = defineOp({
  name: 'firstRowsBackward',
  family: 'plumbing',
  computes: '`dy` in the first rows of m equal parts, zeros in the others',
  operands: 'dy:T[m,h] -> dx:T[n,h]',
  recompute: 'cheap',
  pure: true,
  flops: () => 0,
});
