import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { firstInputElements, requireDtype, requireMatrix, requireShape } from './checks.js';

/** Scale of the loss, and the target that counts for nothing. */
export interface CrossEntropyOptions {
  /** Multiplies loss and gradient: 1 / counted rows for the mean. Default 1. */
  readonly lossScale?: Attribute;
  /** Targets of this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
}

/** Cross-entropy of logits (rows, classes) that exist, for classification; targets i32 (rows). Returns the loss, f32 (1). */
export function crossEntropy(logits: Value, targets: Value, options: CrossEntropyOptions = {}): Value {
  const { lossScale = 1, ignoreIndex = -100 } = options;
  checkOperands('crossEntropy', logits, targets);
  const attributes = { lossScale, ignoreIndex };
  const [loss] = logits.graph.apply(crossEntropyOp, [logits, targets], attributes, [lossOutput]);
  return loss!;
}

/** The loss, and the gradient of the logits. */
export interface CrossEntropyGradients {
  /** F32 (1). */
  readonly loss: Value;
  /** (rows, classes). */
  readonly dLogits: Value;
}

/** Loss and gradient in one pass. Attributes are those of the forward op. */
export function crossEntropyBackward(
  logits: Value,
  targets: Value,
  attributes: Attributes,
): CrossEntropyGradients {
  checkOperands('crossEntropyBackward', logits, targets);
  const [loss, dLogits] = logits.graph.apply(crossEntropyBackwardOp, [logits, targets], attributes, [
    lossOutput,
    { name: 'dLogits', shape: logits.shape, dtype: logits.dtype, kind: 'logits' },
  ]);
  return { loss: loss!, dLogits: dLogits! };
}

const lossOutput = { name: 'loss', shape: [1], dtype: 'f32', kind: 'output' } as const;

function checkOperands(op: string, logits: Value, targets: Value): void {
  const [rows] = requireMatrix(op, logits);
  requireDtype(op, targets, 'i32');
  requireShape(op, targets, [rows]);
}

export const crossEntropyOp: OpDefinition = {
  name: 'crossEntropy',
  recompute: 'costly',
  pure: true,
  flops: (node) => 4 * firstInputElements(node),
  fusedLossGradient({ node, needs }) {
    const [logits, targets] = node.inputs as [Value, Value];
    const { loss, dLogits } = crossEntropyBackward(logits, targets, node.attributes);
    return { loss, inputGradients: [needs(0) ? dLogits : undefined, undefined] };
  },
};

export const crossEntropyBackwardOp: OpDefinition = {
  name: 'crossEntropyBackward',
  recompute: 'costly',
  pure: true,
  flops: (node) => 6 * firstInputElements(node),
};
