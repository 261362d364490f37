import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { firstInputElements, requireDtype, requireMatrix, requireShape } from './checks.js';

/** Layout of the weight, scale of the loss, and the size of a chunk. */
export interface LinearCrossEntropyOptions {
  /** The weight is (vocabulary, hidden), as of an embedding table, instead of (hidden, vocabulary). Default false. */
  readonly transposeWeight?: boolean;
  /** Multiplies loss and gradients: 1 / counted tokens for the mean. Default 1. */
  readonly lossScale?: Attribute;
  /** Targets of this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
  /** Rows whose logits exist at a time. Default 1024. */
  readonly chunkTokens?: number;
}

/**
 * Cross-entropy of the logits x weight, which never exist as a whole: x (tokens, hidden), targets i32 (tokens).
 * Returns the loss, f32 (1).
 */
export function linearCrossEntropy(
  x: Value,
  weight: Value,
  targets: Value,
  options: LinearCrossEntropyOptions = {},
): Value {
  const { transposeWeight = false, lossScale = 1, ignoreIndex = -100, chunkTokens = 1024 } = options;
  const attributes = { transposeWeight: Number(transposeWeight), lossScale, ignoreIndex, chunkTokens };
  checkOperands('linearCrossEntropy', x, weight, targets, transposeWeight);
  const [loss] = x.graph.apply(linearCrossEntropyOp, [x, weight, targets], attributes, [lossOutput]);
  return loss!;
}

/** The loss, and the gradients of input and weight. */
export interface LinearCrossEntropyGradients {
  /** F32 (1). */
  readonly loss: Value;
  /** (tokens, hidden). */
  readonly dx: Value;
  /** As the weight. */
  readonly dWeight: Value;
}

/** Loss and gradients in one pass over the chunks. Attributes are those of the forward op. */
export function linearCrossEntropyBackward(
  x: Value,
  weight: Value,
  targets: Value,
  attributes: Attributes,
  gradientDtype: DType,
): LinearCrossEntropyGradients {
  checkOperands('linearCrossEntropyBackward', x, weight, targets, attributes.transposeWeight === 1);
  const inputs = [x, weight, targets, undefined];
  const [loss, dx, dWeight] = x.graph.apply(linearCrossEntropyBackwardOp, inputs, attributes, [
    lossOutput,
    { name: 'dx', shape: x.shape, dtype: x.dtype },
    { name: 'dWeight', shape: weight.shape, dtype: gradientDtype, kind: 'gradient' },
  ]);
  return { loss: loss!, dx: dx!, dWeight: dWeight! };
}

const lossOutput = { name: 'loss', shape: [1], dtype: 'f32', kind: 'output' } as const;

function checkOperands(op: string, x: Value, weight: Value, targets: Value, transposeWeight: boolean): void {
  const [tokens, hidden] = requireMatrix(op, x);
  requireDtype(op, weight, x.dtype);
  requireShape(op, weight, transposeWeight ? [undefined, hidden] : [hidden, undefined]);
  requireDtype(op, targets, 'i32');
  requireShape(op, targets, [tokens]);
}

/** tokens * hidden * vocabulary, twice: the product that gives the logits. */
function logitFlops(inputs: readonly (Value | undefined)[], transposeWeight: boolean): number {
  return 2 * firstInputElements({ inputs }) * inputs[1]!.shape[transposeWeight ? 0 : 1]!;
}

export const linearCrossEntropyOp: OpDefinition = {
  name: 'linearCrossEntropy',
  recompute: 'costly',
  pure: true,
  flops: ({ inputs, attributes }) => logitFlops(inputs, attributes.transposeWeight === 1),
  fusedLossGradient({ node, needs, gradientDtype }) {
    const [x, weight, targets] = node.inputs as [Value, Value, Value];
    const { loss, dx, dWeight } = linearCrossEntropyBackward(
      x,
      weight,
      targets,
      node.attributes,
      gradientDtype,
    );
    return { loss, inputGradients: [needs(0) ? dx : undefined, needs(1) ? dWeight : undefined, undefined] };
  },
};

export const linearCrossEntropyBackwardOp: OpDefinition = {
  name: 'linearCrossEntropyBackward',
  recompute: 'costly',
  pure: true,
  accumulators: [[2, 3]],
  flops: ({ inputs, attributes }) => 3 * logitFlops(inputs, attributes.transposeWeight === 1),
};
