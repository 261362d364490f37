import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

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
  const attributes = { lossScale, ignoreIndex };
  const [loss] = callOp(crossEntropyOp, [logits, targets], attributes, { loss: { kind: 'output' } });
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
  const [loss, dLogits] = callOp(crossEntropyBackwardOp, [logits, targets], attributes, {
    loss: { kind: 'output' },
    dLogits: { kind: 'logits' },
  });
  return { loss: loss!, dLogits: dLogits! };
}

export const crossEntropyOp: OpDefinition = defineOp({
  name: 'crossEntropy',
  family: 'losses',
  computes: '`lossScale * sum(lse(logits) - logits[target])`, of logits that exist (classification)',
  operands: 'logits:T[n,c] targets:i32[n] -> loss:f32[1]',
  attributes: 'lossScale=1 ignoreIndex=-100',
  recompute: 'costly',
  pure: true,
  flops: (node) => 4 * firstInputElements(node),
  fusedLossGradient({ node, needs }) {
    const [logits, targets] = node.inputs as [Value, Value];
    const { loss, dLogits } = crossEntropyBackward(logits, targets, node.attributes);
    return { loss, inputGradients: [needs(0) ? dLogits : undefined, undefined] };
  },
});

export const crossEntropyBackwardOp: OpDefinition = defineOp({
  name: 'crossEntropyBackward',
  family: 'losses',
  computes: 'the loss and the gradient of the logits in one pass',
  operands: 'logits:T[n,c] targets:i32[n] -> loss:f32[1] dLogits:T[n,c]',
  attributes: 'lossScale=1 ignoreIndex=-100',
  recompute: 'costly',
  pure: true,
  flops: (node) => 6 * firstInputElements(node),
});
