import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** Scale of the loss. */
export interface SquaredErrorOptions {
  /** Multiplies loss and gradient: 1 / counted predictions for the mean. Default 1. */
  readonly lossScale?: Attribute;
}

/**
 * Sum of the squares of prediction - target, for regression; targets f32, as many as predictions, NaN where a prediction
 * counts for nothing. Returns the loss, f32 (1).
 */
export function squaredError(
  predictions: Value,
  targets: Value,
  { lossScale = 1 }: SquaredErrorOptions = {},
): Value {
  const [loss] = callOp(squaredErrorOp, [predictions, targets], { lossScale }, { loss: { kind: 'output' } });
  return loss!;
}

/** The loss, and the gradient of the predictions. */
export interface SquaredErrorGradients {
  /** F32 (1). */
  readonly loss: Value;
  /** Shaped as the predictions. */
  readonly dPredictions: Value;
}

/** Loss and gradient in one pass. Attributes are those of the forward op. */
export function squaredErrorBackward(
  predictions: Value,
  targets: Value,
  attributes: Attributes,
): SquaredErrorGradients {
  const inputs = [predictions, targets] as const;
  const [loss, dPredictions] = callOp(squaredErrorBackwardOp, inputs, attributes, {
    loss: { kind: 'output' },
  });
  return { loss: loss!, dPredictions: dPredictions! };
}

export const squaredErrorOp: OpDefinition = defineOp({
  name: 'squaredError',
  family: 'losses',
  computes:
    '`lossScale * sum((predictions - targets)^2)`, of predictions whose target is not NaN (regression)',
  operands: 'predictions:T[#e] targets:f32[#e] -> loss:f32[1]',
  attributes: 'lossScale=1',
  recompute: 'costly',
  pure: true,
  flops: (node) => 3 * firstInputElements(node),
  fusedLossGradient({ node, needs }) {
    const [predictions, targets] = node.inputs as [Value, Value];
    const { loss, dPredictions } = squaredErrorBackward(predictions, targets, node.attributes);
    return { loss, inputGradients: [needs(0) ? dPredictions : undefined, undefined] };
  },
});

export const squaredErrorBackwardOp: OpDefinition = defineOp({
  name: 'squaredErrorBackward',
  family: 'losses',
  computes: 'the loss and the gradient of the predictions in one pass',
  operands: 'predictions:T[#e] targets:f32[#e] -> loss:f32[1] dPredictions:T[#e]',
  attributes: 'lossScale=1',
  recompute: 'costly',
  pure: true,
  flops: (node) => 5 * firstInputElements(node),
});
