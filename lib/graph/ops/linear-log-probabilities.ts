import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import type { DType, Value } from '../value.js';
import { callOp } from './call-op.js';
import { requireArgument, requireMatrix, softCapOf } from './checks.js';
import type { LinearCrossEntropyOptions } from './linear-cross-entropy.js';
import { logitFlops } from './logit-flops.js';

/** What counts, how long sequences are, and the size of a chunk. */
export interface LinearLogProbabilitiesOptions extends Omit<LinearCrossEntropyOptions, 'lossScale'> {
  /** Tokens of one sequence. */
  readonly sequenceLength: number;
}

/** Log-probabilities of sequences, and what their gradients are made from. */
export interface LogProbabilities {
  /** Of the targets of each sequence that count, together: f32 (sequences). */
  readonly logProbabilities: Value;
  /** The log-sum-exp of the logits of each token, f32 (tokens); 0 for tokens that do not count. */
  readonly lse: Value;
}

/**
 * Log-probabilities of the targets of each sequence under the logits x weight^T, which never exist as a whole: x (tokens,
 * hidden), weight (vocabulary, hidden), targets i32 (tokens).
 * @throws ERR_COMPACT_ARGUMENT for tokens that are no whole sequences
 */
export function linearLogProbabilities(
  x: Value,
  weight: Value,
  targets: Value,
  options: LinearLogProbabilitiesOptions,
): LogProbabilities {
  const op = 'linearLogProbabilities';
  const { sequenceLength, ignoreIndex = -100, chunkTokens = 1024 } = options;
  const [tokens] = requireMatrix(op, x);
  const isWhole = sequenceLength > 0 && tokens % sequenceLength === 0;
  requireArgument(op, 'sequenceLength', sequenceLength, isWhole, `a divisor of ${tokens}`);
  const attributes = { sequenceLength, ignoreIndex, chunkTokens, ...softCapOf(op, options) };
  const [logProbabilities, lse] = callOp(linearLogProbabilitiesOp, [x, weight, targets], attributes, {
    logProbabilities: { shape: [tokens / sequenceLength], kind: 'logits' },
    lse: { kind: 'logits' }, // no codes are precise enough for it
  });
  return { logProbabilities: logProbabilities!, lse: lse! };
}

/** The gradient of x (tokens, hidden), from those of the log-probabilities, f32 (sequences). Attributes are those of the forward op. */
export function linearLogProbabilitiesInputBackward(
  x: Value,
  weight: Value,
  targets: Value,
  lse: Value,
  dLogProbabilities: Value,
  attributes: Attributes,
): Value {
  const inputs = [x, weight, targets, lse, dLogProbabilities] as const;
  return callOp(linearLogProbabilitiesInputBackwardOp, inputs, attributes)[0]!;
}

/**
 * The gradient, in `gradientDtype`, of a weight (vocabulary, hidden), or of its rows from `first` on, which are given then.
 * Other attributes are those of the forward op.
 */
export function linearLogProbabilitiesWeightBackward(
  x: Value,
  weightRows: Value,
  targets: Value,
  lse: Value,
  dLogProbabilities: Value,
  attributes: Attributes & { readonly first: number },
  gradientDtype: DType,
): Value {
  const inputs = [x, weightRows, targets, lse, dLogProbabilities, undefined] as const;
  const [dWeight] = callOp(linearLogProbabilitiesWeightBackwardOp, inputs, attributes, {
    dWeight: { shape: weightRows.shape, dtype: gradientDtype, kind: 'gradient' },
  });
  return dWeight!;
}

export const linearLogProbabilitiesOp: OpDefinition = defineOp({
  name: 'linearLogProbabilities',
  family: 'losses',
  computes:
    'for each sequence of `sequenceLength` rows the sum of `(x w^T)[target] - lse(x w^T)` over its targets that count, ' +
    'logits as of linearCrossEntropy; `lse` is 0 where the target does not count',
  operands: 'x:T[n,h] weight:T[v,h] targets:i32[n] -> logProbabilities:f32[s] lse:f32[n]',
  attributes: 'sequenceLength ignoreIndex=-100 chunkTokens=1024 softCap=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: logitFlops,
  decoding: {
    weight: 1,
    int8: ({ inputs }) => {
      throw compactError('ERR_COMPACT_CONFIG_VALUE', `${inputs[1]!.name} is read as numbers by preferences`, {
        op: 'embeddingWeights',
        expected: "'dtype'",
        received: "'int8'",
        remedy: 'Leave embeddingWeights out',
      });
    },
  },
  gradient({ node, outputGradients: [dLogProbabilities], needs, gradientDtype }) {
    const [x, weight, targets] = node.inputs as [Value, Value, Value];
    const lse = node.outputs[1]!;
    const { attributes } = node;
    const given = [x, weight, targets, lse, dLogProbabilities!] as const;
    return [
      needs(0) ? linearLogProbabilitiesInputBackward(...given, attributes) : undefined,
      needs(1)
        ? linearLogProbabilitiesWeightBackward(...given, { ...attributes, first: 0 }, gradientDtype)
        : undefined,
      undefined,
    ];
  },
});

export const linearLogProbabilitiesInputBackwardOp: OpDefinition = defineOp({
  name: 'linearLogProbabilitiesInputBackward',
  family: 'losses',
  computes:
    'the gradient of x: `dLogits w`, `dLogits = dLogProbabilities (onehot(target) - exp(x w^T - lse))`, each row with the ' +
    'gradient of its sequence, times the slope of the cap where there is one; logits are computed again',
  operands: 'x:T[n,h] weight:T[v,h] targets:i32[n] lse:f32[n] dLogProbabilities:f32[s] -> dx:T[n,h]',
  attributes: 'sequenceLength ignoreIndex=-100 chunkTokens=1024 softCap=0',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: (node) => 2 * logitFlops(node),
});

export const linearLogProbabilitiesWeightBackwardOp: OpDefinition = defineOp({
  name: 'linearLogProbabilitiesWeightBackward',
  family: 'losses',
  computes:
    'the gradient of rows `first` to `first + v` of the weight, from those rows: `dLogits^T x`, with the same `dLogits`',
  operands:
    'x:T[n,h] weight:T[v,h] targets:i32[n] lse:f32[n] dLogProbabilities:f32[s] accumulator?:G[v,h] -> ' +
    'dWeight=accumulator:G[v,h]',
  attributes: 'sequenceLength first=0 ignoreIndex=-100 chunkTokens=1024 softCap=0 accumulate=0',
  identifiedBy: 'first',
  recompute: 'costly',
  pure: true,
  workspaceKind: 'logits',
  flops: (node) => 2 * logitFlops(node),
  gradientByRows({ inputs, outputs, attributes }) {
    const [x, weight, targets, lse, dLogProbabilities, accumulator] = inputs as Value[];
    if (accumulator !== undefined) return undefined;
    const { accumulate: _, ...shared } = attributes;
    const { dtype } = outputs[0]!;
    return {
      others: [],
      rows(first, count) {
        const rows = weight!.graph.rows(weight!, first, count);
        const given = [x!, rows, targets!, lse!, dLogProbabilities!] as const;
        return linearLogProbabilitiesWeightBackward(...given, { ...shared, first }, dtype);
      },
    };
  },
});
