import { compactError } from '../../errors.js';
import type { Attributes, Node } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import {
  firstInputElements,
  requireAlike,
  requireArgument,
  requireDtype,
  requireMatrix,
  requireShape,
} from './checks.js';

/** The shape of attention, and which tokens see which. */
export interface AttentionOptions {
  /** Tokens of one sequence; the rows of q are whole sequences. */
  readonly sequenceLength: number;
  readonly headSize: number;
  /** Default true. */
  readonly causal?: boolean;
  /** Default 1 / sqrt(headSize). */
  readonly scale?: number;
  /** u8 (tokens): 1 where a token may be attended to. */
  readonly mask?: Value;
}

/**
 * o = softmax(scale q k^T) v for each sequence and head, without a matrix of scores in memory:
 * q (tokens, heads * headSize), k and v (tokens, kvHeads * headSize), head i reads kv head i / (heads / kvHeads).
 */
export function attention(q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { sequenceLength, headSize, causal = true, scale = 1 / Math.sqrt(headSize), mask } = options;
  const tokens = checkOperands('attention', q, k, v, sequenceLength, headSize);
  if (mask !== undefined) {
    requireDtype('attention', mask, 'u8');
    requireShape('attention', mask, [tokens]);
  }
  const attributes: Attributes = { sequenceLength, headSize, causal: Number(causal), scale };
  const [o] = q.graph.apply(attentionOp, [q, k, v, mask], attributes, [
    { name: 'o', shape: q.shape, dtype: q.dtype },
    { name: 'lse', shape: [tokens, q.shape[1]! / headSize], dtype: 'f32' },
  ]);
  return o!;
}

/** Gradients, each shaped as its operand. */
export interface AttentionGradients {
  readonly dq: Value;
  readonly dk: Value;
  readonly dv: Value;
}

/** Gradients of q, k and v; probabilities are rebuilt from lse, the log of the sum of exponentials of each row. */
export function attentionBackward(
  operands: Readonly<Record<'q' | 'k' | 'v' | 'o' | 'lse' | 'dO', Value>> & { readonly mask?: Value },
  attributes: Attributes,
): AttentionGradients {
  const { q, k, v, o, lse, dO, mask } = operands;
  const { sequenceLength, headSize } = attributes as Record<string, number>;
  const tokens = checkOperands('attentionBackward', q, k, v, sequenceLength!, headSize!);
  requireAlike('attentionBackward', q, o, dO);
  requireDtype('attentionBackward', lse, 'f32');
  requireShape('attentionBackward', lse, [tokens, q.shape[1]! / headSize!]);
  const [dq, dk, dv] = q.graph.apply(attentionBackwardOp, [q, k, v, o, lse, dO, mask], attributes, [
    { name: 'dq', shape: q.shape, dtype: q.dtype },
    { name: 'dk', shape: k.shape, dtype: k.dtype },
    { name: 'dv', shape: v.shape, dtype: v.dtype },
  ]);
  return { dq: dq!, dk: dk!, dv: dv! };
}

/** Returns the number of tokens. */
function checkOperands(
  op: string,
  q: Value,
  k: Value,
  v: Value,
  sequenceLength: number,
  headSize: number,
): number {
  const [tokens, width] = requireMatrix(op, q);
  const [, kvWidth] = requireMatrix(op, k);
  requireDtype(op, k, q.dtype);
  requireShape(op, k, [tokens, undefined]);
  requireAlike(op, k, v);
  requireArgument(op, 'headSize', headSize, headSize > 0 && width % headSize === 0, `a divisor of ${width}`);
  if (kvWidth % headSize !== 0 || width % kvWidth !== 0)
    throw compactError('ERR_COMPACT_SHAPE', `${op}: key and value heads do not divide the query heads`, {
      op,
      expected: `a width that divides ${width} into whole heads of ${headSize}`,
      received: `${kvWidth}`,
    });
  const whole = sequenceLength > 0 && tokens % sequenceLength === 0;
  requireArgument(op, 'sequenceLength', sequenceLength, whole, `a divisor of the ${tokens} tokens`);
  return tokens;
}

/** One of the products over all pairs of positions that the mask of causality leaves. */
function productFlops(node: Node): number {
  const { sequenceLength, causal } = node.attributes as Record<string, number>;
  return (2 * firstInputElements(node) * sequenceLength!) / (causal ? 2 : 1);
}

export const attentionOp: OpDefinition = {
  name: 'attention',
  recompute: 'costly',
  pure: true,
  flops: (node) => 2 * productFlops(node),
  gradient({ node, outputGradients, needs }) {
    const [q, k, v, mask] = node.inputs as [Value, Value, Value, Value | undefined];
    const [o, lse] = node.outputs as [Value, Value];
    const operands = { q, k, v, o, lse, dO: outputGradients[0]!, mask };
    const { dq, dk, dv } = attentionBackward(operands, node.attributes);
    return [needs(0) ? dq : undefined, needs(1) ? dk : undefined, needs(2) ? dv : undefined, undefined];
  },
};

export const attentionBackwardOp: OpDefinition = {
  name: 'attentionBackward',
  recompute: 'costly',
  pure: true,
  // Scores and probability gradients are rebuilt, then one product for each of dq, dk and dv.
  flops: (node) => 5 * productFlops(node),
};
