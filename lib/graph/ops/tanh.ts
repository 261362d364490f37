import { defineOp } from '../define-op.js';
import type { OpDefinition } from '../op.js';
import type { Value, ValueKind } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireSoftCap } from './checks.js';

/** y = tanh(x), element by element. */
export const tanh = (x: Value): Value => callOp(tanhOp, [x])[0]!;

/** What the result of a soft cap is called, and the category of its bytes. */
export interface SoftCapOptions {
  /** Default 'y'. */
  readonly name?: string;
  /** Default 'activation'. */
  readonly kind?: ValueKind;
}

/** y = cap tanh(x / cap), which is x where that is small, and never beyond the cap. */
export function softCap(x: Value, cap: number, options: SoftCapOptions = {}): Value {
  requireSoftCap('softCap', cap);
  return callOp(tanhOp, [x], { cap }, { y: options })[0]!;
}

/** Gradient of x, shaped as x, from y and its gradient. */
export function tanhBackward(y: Value, dy: Value, cap = 1): Value {
  requireSoftCap('tanhBackward', cap);
  return callOp(tanhBackwardOp, [y, dy], { cap })[0]!;
}

export const tanhOp: OpDefinition = defineOp({
  name: 'tanh',
  family: 'layers',
  computes: '`cap tanh(x / cap)`',
  operands: 'x:T[#e] -> y:T[#e]',
  attributes: 'cap=1',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 8 * firstInputElements(node),
  gradient: ({ node, outputGradients, needs }) => [
    needs(0)
      ? callOp(tanhBackwardOp, [node.outputs[0]!, outputGradients[0]!], node.attributes)[0]
      : undefined,
  ],
});

export const tanhBackwardOp: OpDefinition = defineOp({
  name: 'tanhBackward',
  family: 'layers',
  computes: '`dy (1 - (y / cap)^2)`',
  operands: 'y:T[#e] dy:T[#e] -> dx:T[#e]',
  attributes: 'cap=1',
  mayShare: 'dx=y dx=dy',
  recompute: 'cheap',
  pure: true,
  flops: (node) => 4 * firstInputElements(node),
});
