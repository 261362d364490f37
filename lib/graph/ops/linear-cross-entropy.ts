import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements, requireMatrix, requireShape } from './checks.js';
import { requireGroups, type Quantized } from './quantize.js';

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
  checkWeight('linearCrossEntropy', x, weight, transposeWeight);
  const [loss] = callOp(linearCrossEntropyOp, [x, weight, targets], attributes, lossOutput);
  return loss!;
}

/** The same with a weight in int8 (`quantize`); its group size is a power of two. Such a weight is not trained. */
export function linearCrossEntropyInt8(
  x: Value,
  { codes, scales }: Quantized,
  groupSize: number,
  targets: Value,
  options: LinearCrossEntropyOptions = {},
): Value {
  const { transposeWeight = false, lossScale = 1, ignoreIndex = -100, chunkTokens = 1024 } = options;
  requireGroups('linearCrossEntropyInt8', { codes, scales }, groupSize);
  checkWeight('linearCrossEntropyInt8', x, codes, transposeWeight);
  const attributes = {
    groupSize,
    transposeWeight: Number(transposeWeight),
    lossScale,
    ignoreIndex,
    chunkTokens,
  };
  const inputs = [x, codes, scales, targets] as const;
  return callOp(linearCrossEntropyInt8Op, inputs, attributes, lossOutput)[0]!;
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
  checkWeight('linearCrossEntropyBackward', x, weight, attributes.transposeWeight === 1);
  const inputs = [x, weight, targets, undefined] as const;
  const [loss, dx, dWeight] = callOp(linearCrossEntropyBackwardOp, inputs, attributes, {
    ...lossOutput,
    dWeight: { shape: weight.shape, dtype: gradientDtype, kind: 'gradient' },
  });
  return { loss: loss!, dx: dx!, dWeight: dWeight! };
}

/** The same where the weight is frozen: its gradient is not made. */
export function linearCrossEntropyInputBackward(
  x: Value,
  weight: Value,
  targets: Value,
  attributes: Attributes,
): Omit<LinearCrossEntropyGradients, 'dWeight'> {
  checkWeight('linearCrossEntropyInputBackward', x, weight, attributes.transposeWeight === 1);
  const [loss, dx] = callOp(linearCrossEntropyInputBackwardOp, [x, weight, targets], attributes, lossOutput);
  return { loss: loss!, dx: dx! };
}

/** The same with a weight in int8. */
export function linearCrossEntropyInt8Backward(
  x: Value,
  { codes, scales }: Quantized,
  targets: Value,
  attributes: Attributes,
): Omit<LinearCrossEntropyGradients, 'dWeight'> {
  requireGroups('linearCrossEntropyInt8Backward', { codes, scales }, attributes.groupSize as number);
  checkWeight('linearCrossEntropyInt8Backward', x, codes, attributes.transposeWeight === 1);
  const inputs = [x, codes, scales, targets] as const;
  const [loss, dx] = callOp(linearCrossEntropyInt8BackwardOp, inputs, attributes, lossOutput);
  return { loss: loss!, dx: dx! };
}

const lossOutput = { loss: { kind: 'output' } } as const;

function checkWeight(op: string, x: Value, weight: Value, transposeWeight: boolean): void {
  const [, hidden] = requireMatrix(op, x);
  requireShape(op, weight, transposeWeight ? [undefined, hidden] : [hidden, undefined]);
}

/** tokens * hidden * vocabulary, twice: the product that gives the logits. */
function logitFlops(inputs: readonly (Value | undefined)[], transposeWeight: boolean): number {
  return 2 * firstInputElements({ inputs }) * inputs[1]!.shape[transposeWeight ? 0 : 1]!;
}

export const linearCrossEntropyOp: OpDefinition = defineOp({
  name: 'linearCrossEntropy',
  family: 'losses',
  computes:
    '`lossScale * sum(lse(x w) - (x w)[target])`, logits (chunkTokens, v) in workspace only, fp32. ' +
    '`weight` is (h,v), or (v,h) with `transposeWeight=1`',
  operands: 'x:T[n,h] weight:T[*,*] targets:i32[n] -> loss:f32[1]',
  attributes: 'transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: ({ inputs, attributes }) => logitFlops(inputs, attributes.transposeWeight === 1),
  decoding: {
    weight: 1,
    int8({ inputs: [x, , targets], attributes }, weight, groupSize) {
      const { transposeWeight, lossScale, ignoreIndex, chunkTokens } = attributes;
      return linearCrossEntropyInt8(x!, weight, groupSize, targets!, {
        transposeWeight: transposeWeight === 1,
        lossScale,
        ignoreIndex: ignoreIndex as number,
        chunkTokens: chunkTokens as number,
      });
    },
  },
  fusedLossGradient({ node, needs, gradientDtype }) {
    const [x, weight, targets] = node.inputs as [Value, Value, Value];
    const { attributes } = node;
    if (!needs(1)) {
      const { loss, dx } = linearCrossEntropyInputBackward(x, weight, targets, attributes);
      return { loss, inputGradients: [dx, undefined, undefined] };
    }
    const { loss, dx, dWeight } = linearCrossEntropyBackward(x, weight, targets, attributes, gradientDtype);
    return { loss, inputGradients: [needs(0) ? dx : undefined, dWeight, undefined] };
  },
});

export const linearCrossEntropyBackwardOp: OpDefinition = defineOp({
  name: 'linearCrossEntropyBackward',
  family: 'losses',
  computes: 'the loss and the gradients of x and weight in one pass over the chunks',
  operands:
    'x:T[n,h] weight:T[*,*] targets:i32[n] accumulator?:G[*,*] -> loss:f32[1] dx:T[n,h] ' +
    'dWeight=accumulator:G[*,*]',
  attributes: 'transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024 accumulate=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: ({ inputs, attributes }) => 3 * logitFlops(inputs, attributes.transposeWeight === 1),
});

export const linearCrossEntropyInputBackwardOp: OpDefinition = defineOp({
  name: 'linearCrossEntropyInputBackward',
  family: 'losses',
  computes: 'the same without the gradient of weight',
  operands: 'x:T[n,h] weight:T[*,*] targets:i32[n] -> loss:f32[1] dx:T[n,h]',
  attributes: 'transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: ({ inputs, attributes }) => 2 * logitFlops(inputs, attributes.transposeWeight === 1),
});

export const linearCrossEntropyInt8Op: OpDefinition = defineOp({
  name: 'linearCrossEntropyInt8',
  family: 'losses',
  computes:
    'linearCrossEntropy with what `dequantize` makes of the codes in the dtype of `x`; `groupSize` a power of two',
  operands: 'x:T[n,h] codes:i8[*,*] scales:f32[g] targets:i32[n] -> loss:f32[1]',
  attributes: 'groupSize transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: ({ inputs, attributes }) => logitFlops(inputs, attributes.transposeWeight === 1),
  fusedLossGradient({ node: { inputs, attributes } }) {
    const [x, codes, scales, targets] = inputs as [Value, Value, Value, Value];
    const { loss, dx } = linearCrossEntropyInt8Backward(x, { codes, scales }, targets, attributes);
    return { loss, inputGradients: [dx, undefined, undefined, undefined] };
  },
});

export const linearCrossEntropyInt8BackwardOp: OpDefinition = defineOp({
  name: 'linearCrossEntropyInt8Backward',
  family: 'losses',
  computes: 'the same with the loss and the gradient of x',
  operands: 'x:T[n,h] codes:i8[*,*] scales:f32[g] targets:i32[n] -> loss:f32[1] dx:T[n,h]',
  attributes: 'groupSize transposeWeight=0 lossScale=1 ignoreIndex=-100 chunkTokens=1024',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: ({ inputs, attributes }) => 2 * logitFlops(inputs, attributes.transposeWeight === 1),
});
