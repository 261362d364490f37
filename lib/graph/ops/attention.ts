import { defineOp } from '../define-op.js';
import type { Attributes, Node } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { Value } from '../value.js';
import { callOp } from './call-op.js';
import {
  firstInputElements,
  requireArgument,
  requireHeads,
  requireMatrix,
  requireShape,
  softCapOf,
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
  /** Above 0: scores become softCap tanh(score / softCap). Default: they stay. */
  readonly softCap?: number;
  /** u8 (tokens): 1 where a token may be attended to. */
  readonly mask?: Value;
  /**
   * i32 (tokens): the first position of its sequence that a token may attend to, for documents packed into one
   * sequence: where the token's document starts. It does not decrease within a sequence.
   */
  readonly firstKeys?: Value;
  /** Tokens that a token sees up to its own place, itself included (Beltagy et al. 2020, arXiv 2004.05150). Default 0: all. */
  readonly window?: number;
}

/**
 * o = softmax(scale q k^T) v for each sequence and head, without a matrix of scores in memory:
 * q (tokens, heads * headSize), k and v (tokens, kvHeads * headSize), head i reads kv head i / (heads / kvHeads).
 */
export function attention(q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { sequenceLength, headSize, causal = true, scale = 1 / Math.sqrt(headSize), window = 0 } = options;
  const lse = { shape: statisticsShape('attention', q, k, sequenceLength, headSize) };
  const softCap = softCapOf('attention', options);
  requireArgument(
    'attention',
    'window',
    window,
    Number.isInteger(window) && window >= 0,
    'a whole number from 0',
  );
  const shown = { sequenceLength, headSize, causal: Number(causal), scale, window };
  const attributes: Attributes = { ...shown, ...softCap };
  const [o] = callOp(attentionOp, [q, k, v, options.mask, options.firstKeys], attributes, { lse });
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
  operands: Readonly<Record<'q' | 'k' | 'v' | 'o' | 'lse' | 'dO', Value>> &
    Pick<AttentionOptions, 'mask' | 'firstKeys'>,
  attributes: Attributes,
): AttentionGradients {
  const { q, k, v, o, lse, dO, mask, firstKeys } = operands;
  const { sequenceLength, headSize } = attributes as Record<string, number>;
  const shape = statisticsShape('attentionBackward', q, k, sequenceLength!, headSize!);
  requireShape('attentionBackward', lse, shape);
  const [dq, dk, dv] = callOp(attentionBackwardOp, [q, k, v, o, lse, dO, mask, firstKeys], attributes);
  return { dq: dq!, dk: dk!, dv: dv! };
}

/** (tokens, heads): one number for each row of scores. */
function statisticsShape(
  op: string,
  q: Value,
  k: Value,
  sequenceLength: number,
  headSize: number,
): readonly [number, number] {
  const [tokens, width] = requireMatrix(op, q);
  requireHeads(op, q, k, headSize);
  const whole = sequenceLength > 0 && tokens % sequenceLength === 0;
  requireArgument(op, 'sequenceLength', sequenceLength, whole, `a divisor of the ${tokens} tokens`);
  return [tokens, width / headSize];
}

/** One of the products over all pairs of positions that the mask of causality leaves. */
function productFlops(node: Node): number {
  const { sequenceLength, causal } = node.attributes as Record<string, number>;
  return (2 * firstInputElements(node) * sequenceLength!) / (causal ? 2 : 1);
}

export const attentionOp: OpDefinition = defineOp({
  name: 'attention',
  family: 'attention',
  computes:
    'per sequence and head `o = softmax(s) v`, `s = scale q k^T`, with a `softCap` above 0 ' +
    '`softCap tanh(scale q k^T / softCap)`; fp32 inside, online softmax, no T x T matrix ' +
    '(bf16 on tensor cores and on AMX: the probabilities, and the score gradients of the backward ' +
    'pass, are rounded to bf16 before they are multiplied). `w = heads*headSize`, `u = ' +
    'kvHeads*headSize`, `headSize` a multiple of 8 up to 256, head `i` uses kv head `i / ' +
    '(heads/kvHeads)`. `mask[n]` 1 where a token may be attended to; `firstKeys[n]` the first position of ' +
    'its sequence that a token may attend to, which does not decrease within a sequence; with a ' +
    '`window` above 0 no earlier than `position - window + 1` (tiles before it are passed over). `lse` is the log-sum-exp; a row ' +
    'with nothing to attend to gives o = 0, lse = -inf',
  operands: 'q:T[n,w] k:T[n,u] v:T[n,u] mask?:u8[n] firstKeys?:i32[n] -> o:T[n,w] lse:f32[n,a]',
  attributes: 'sequenceLength headSize causal=1 scale window=0 softCap=0',
  recompute: 'costly',
  pure: true,
  flops: (node) => 2 * productFlops(node),
  gradient({ node, outputGradients, needs }) {
    const [q, k, v, mask, firstKeys] = node.inputs as [Value, Value, Value, Value?, Value?];
    const [o, lse] = node.outputs as [Value, Value];
    const operands = { q, k, v, o, lse, dO: outputGradients[0]!, mask, firstKeys };
    const { dq, dk, dv } = attentionBackward(operands, node.attributes);
    return [needs(0) ? dq : undefined, needs(1) ? dk : undefined, needs(2) ? dv : undefined];
  },
});

export const attentionBackwardOp: OpDefinition = defineOp({
  name: 'attentionBackward',
  family: 'attention',
  computes: '`dq, dk, dv`; probabilities rebuilt from `lse`',
  operands:
    'q:T[n,w] k:T[n,u] v:T[n,u] o:T[n,w] lse:f32[n,a] dO:T[n,w] mask?:u8[n] firstKeys?:i32[n] -> dq:T[n,w] dk:T[n,u] dv:T[n,u]',
  attributes: 'sequenceLength headSize causal=1 scale window=0 softCap=0',
  recompute: 'costly',
  pure: true,
  // Scores and probability gradients are rebuilt, then one product for each of dq, dk and dv.
  flops: (node) => 5 * productFlops(node),
});
