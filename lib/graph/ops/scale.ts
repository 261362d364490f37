import { defineOp } from '../define-op.js';
import type { Attribute } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y = factor x. */
export function scale(x: Value, factor: Attribute): Value {
  const [y] = callOp(scaleOp, [x], { factor }, { y: { kind: x.kind } });
  return y!;
}

/** The same into a persistent tensor of that size. */
export function scalePersistent(x: Value, factor: Attribute, target: Value): void {
  target.graph.overwrite(scaleOp, [target], { factor }, [x]);
}

/** The numbers of x, in their order, in another shape of as many; where nothing else reads x, in its place. */
export function reshape(x: Value, shape: readonly number[]): Value {
  const [y] = callOp(scaleOp, [x], { factor: 1 }, { y: { shape, kind: x.kind } });
  return y!;
}

export const scaleOp: OpDefinition = defineOp({
  name: 'scale',
  family: 'elementwise',
  computes: '`factor * x`',
  operands: 'x:T[#e] -> y:T[#e]',
  attributes: 'factor',
  mayShare: 'y=x',
  recompute: 'cheap',
  pure: true,
  flops: firstInputElements,
  gradient: ({ node, outputGradients, needs }) => [
    needs(0) ? scaledAs(node.inputs[0]!, outputGradients[0]!, node.attributes.factor!) : undefined,
  ],
});

/** The gradient of x, whose shape need not be that of y. */
function scaledAs({ shape }: Value, dy: Value, factor: Attribute): Value {
  const [dx] = callOp(scaleOp, [dy], { factor }, { y: { shape, kind: dy.kind } });
  return dx!;
}
