import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { softCapOf } from './checks.js';
import { logitFlops } from './logit-flops.js';
import { requireGroups, type Quantized } from './quantize.js';

/** Scale of the loss, what counts, and the size of a chunk. */
export interface LinearCrossEntropyOptions {
  /** Multiplies loss and gradients: 1 / counted tokens for the mean. Default 1. */
  readonly lossScale?: Attribute;
  /** Targets of this value count for nothing. Default -100. */
  readonly ignoreIndex?: number;
  /** Rows whose logits exist at a time. Default 1024. */
  readonly chunkTokens?: number;
  /** Above 0: logits become softCap tanh(logit / softCap). Default: they stay. */
  readonly softCap?: number;
}

/**
 * Cross-entropy of the logits x weight^T, which never exist as a whole: x (tokens, hidden), weight (vocabulary, hidden),
 * targets i32 (tokens). Returns the loss, f32 (1).
 */
export function linearCrossEntropy(
  x: Value,
  weight: Value,
  targets: Value,
  options: LinearCrossEntropyOptions = {},
): Value {
  const { lossScale = 1, ignoreIndex = -100, chunkTokens = 1024 } = options;
  const softCap = softCapOf('linearCrossEntropy', options);
  const attributes = { lossScale, ignoreIndex, chunkTokens, ...softCap };
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
  const { lossScale = 1, ignoreIndex = -100, chunkTokens = 1024 } = options;
  requireGroups('linearCrossEntropyInt8', { codes, scales }, groupSize);
  const softCap = softCapOf('linearCrossEntropyInt8', options);
  const attributes = { groupSize, lossScale, ignoreIndex, chunkTokens, ...softCap };
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
  const inputs = [x, weight, targets, undefined] as const;
  const [loss, dx, dWeight] = callOp(linearCrossEntropyBackwardOp, inputs, attributes, {
    ...lossOutput,
    dWeight: { shape: weight.shape, dtype: gradientDtype, kind: 'gradient' },
  });
  return { loss: loss!, dx: dx!, dWeight: dWeight! };
}

/** Loss and gradient of the input alone, and what the gradient of rows of the weight can be made from. */
export interface LinearCrossEntropyInputGradient extends Omit<LinearCrossEntropyGradients, 'dWeight'> {
  /** The log-sum-exp of the logits of each token, f32 (tokens); 0 for tokens that do not count. */
  readonly lse: Value;
}

/** The same without the gradient of the weight: where that is frozen, or made by rows. */
export function linearCrossEntropyInputBackward(
  x: Value,
  weight: Value,
  targets: Value,
  attributes: Attributes,
): LinearCrossEntropyInputGradient {
  const inputs = [x, weight, targets] as const;
  const [loss, dx, lse] = callOp(linearCrossEntropyInputBackwardOp, inputs, attributes, lossOutput);
  return { loss: loss!, dx: dx!, lse: lse! };
}

/**
 * The gradient of rows [first, first + count) of a weight (vocabulary, hidden), in `gradientDtype`, from those rows and
 * from the log-sum-exp of `linearCrossEntropyInputBackward`. Other attributes are those of that op.
 */
export function linearCrossEntropyRowsBackward(
  x: Value,
  weightRows: Value,
  targets: Value,
  lse: Value,
  attributes: Attributes & { readonly first: number },
  gradientDtype: DType,
): Value {
  const inputs = [x, weightRows, targets, lse] as const;
  const [dWeight] = callOp(linearCrossEntropyRowsBackwardOp, inputs, attributes, {
    dWeight: { shape: weightRows.shape, dtype: gradientDtype, kind: 'gradient' },
  });
  return dWeight!;
}

/** The same with a weight in int8. */
export function linearCrossEntropyInt8Backward(
  x: Value,
  { codes, scales }: Quantized,
  targets: Value,
  attributes: Attributes,
): Omit<LinearCrossEntropyGradients, 'dWeight'> {
  requireGroups('linearCrossEntropyInt8Backward', { codes, scales }, attributes.groupSize as number);
  const inputs = [x, codes, scales, targets] as const;
  const [loss, dx] = callOp(linearCrossEntropyInt8BackwardOp, inputs, attributes, lossOutput);
  return { loss: loss!, dx: dx! };
}

const lossOutput = { loss: { kind: 'output' } } as const;

export const linearCrossEntropyOp: OpDefinition = defineOp({
  name: 'linearCrossEntropy',
  family: 'losses',
  computes:
    '`lossScale * sum(lse(x w^T) - (x w^T)[target])`, logits (chunkTokens, v) in workspace only, fp32; with a ' +
    '`softCap` above 0 they are `softCap tanh(x w^T / softCap)`',
  operands: 'x:T[n,h] weight:T[v,h] targets:i32[n] -> loss:f32[1]',
  attributes: 'lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: logitFlops,
  decoding: {
    weight: 1,
    int8({ inputs: [x, , targets], attributes }, weight, groupSize) {
      const { lossScale, ignoreIndex, chunkTokens, softCap } = attributes;
      return linearCrossEntropyInt8(x!, weight, groupSize, targets!, {
        lossScale,
        ignoreIndex: ignoreIndex as number,
        chunkTokens: chunkTokens as number,
        softCap: softCap as number | undefined,
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
    'x:T[n,h] weight:T[v,h] targets:i32[n] accumulator?:G[v,h] -> loss:f32[1] dx:T[n,h] ' +
    'dWeight=accumulator:G[v,h]',
  attributes: 'lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0 accumulate=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: (node) => 3 * logitFlops(node),
  gradientByRows({ inputs, outputs, attributes }) {
    const [x, weight, targets, accumulator] = inputs as [Value, Value, Value, Value?];
    if (accumulator !== undefined) return undefined;
    const { accumulate: _, ...shared } = attributes;
    const { loss, dx, lse } = linearCrossEntropyInputBackward(x, weight, targets, shared);
    const { dtype } = outputs[2]!;
    return {
      others: [loss, dx],
      rows(first, count) {
        const rows = weight.graph.rows(weight, first, count);
        return linearCrossEntropyRowsBackward(x, rows, targets, lse, { ...shared, first }, dtype);
      },
    };
  },
});

export const linearCrossEntropyInputBackwardOp: OpDefinition = defineOp({
  name: 'linearCrossEntropyInputBackward',
  family: 'losses',
  computes:
    'the same without the gradient of weight; `lse` is the log-sum-exp of the logits, 0 where the target does not count',
  operands: 'x:T[n,h] weight:T[v,h] targets:i32[n] -> loss:f32[1] dx:T[n,h] lse:f32[n]',
  attributes: 'lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: (node) => 2 * logitFlops(node),
});

export const linearCrossEntropyRowsBackwardOp: OpDefinition = defineOp({
  name: 'linearCrossEntropyRowsBackward',
  family: 'losses',
  computes:
    'the gradient of rows `first` to `first + v` of the weight, from those rows: `dLogits^T x`, ' +
    '`dLogits = lossScale (exp(x w^T - lse) - onehot(target - first))`, times the slope of the cap where there is one',
  operands: 'x:T[n,h] weight:T[v,h] targets:i32[n] lse:f32[n] -> dWeight:G[v,h]',
  attributes: 'first lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0',
  identifiedBy: 'first',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: (node) => 2 * logitFlops(node),
});

export const linearCrossEntropyInt8Op: OpDefinition = defineOp({
  name: 'linearCrossEntropyInt8',
  family: 'losses',
  computes:
    'linearCrossEntropy with what `dequantize` makes of the codes in the dtype of `x`; `groupSize` a power of two',
  operands: 'x:T[n,h] codes:i8[v,h] scales:f32[g] targets:i32[n] -> loss:f32[1]',
  attributes: 'groupSize lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: logitFlops,
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
  operands: 'x:T[n,h] codes:i8[v,h] scales:f32[g] targets:i32[n] -> loss:f32[1] dx:T[n,h]',
  attributes: 'groupSize lossScale=1 ignoreIndex=-100 chunkTokens=1024 softCap=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: (node) => 2 * logitFlops(node),
});
