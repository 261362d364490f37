import { compactError } from '../../errors.js';
import { defineOp } from '../define-op.js';
import type { Attribute, Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import { numElements, type Value } from '../value.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** How preferences are learnt. */
export interface PreferenceOptions {
  /** Above 0: the lower, the further the model may go from the reference. Default 0.1. */
  readonly beta?: number;
  /** Share of the pairs that is taken to stand the wrong way round, below 0.5 (conservative DPO). Default 0. */
  readonly labelSmoothing?: number;
}

/** How preferences are learnt, and the scale of the loss. */
export interface PreferenceLossOptions extends PreferenceOptions {
  /** Multiplies loss and gradient: 1 / pairs for the mean. Default 1. */
  readonly lossScale?: Attribute;
}

/**
 * The loss of direct preference optimization, DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7): of the log-probabilities
 * of pairs, the chosen and the rejected sequence of each in turn, f32 (sequences), and those that a reference model gives
 * them, NaN where a pair counts for nothing. Returns the loss, f32 (1); its op also gives `logRatios`, f32 (sequences), to
 * what the loss goes to.
 * @throws ERR_COMPACT_SHAPE for sequences that are no whole pairs
 */
export function preferenceLoss(
  logProbabilities: Value,
  reference: Value,
  { beta = 0.1, labelSmoothing = 0, lossScale = 1 }: PreferenceLossOptions = {},
): Value {
  const sequences = numElements(logProbabilities.shape);
  if (sequences % 2 !== 0)
    throw compactError('ERR_COMPACT_SHAPE', 'preferenceLoss: sequences are no whole pairs', {
      op: 'preferenceLoss',
      expected: 'an even number of sequences',
      received: `${sequences}`,
    });
  const attributes = { beta, labelSmoothing, lossScale };
  const [loss] = callOp(preferenceLossOp, [logProbabilities, reference], attributes, lossOutputs);
  return loss!;
}

/** The loss, and the gradient of the log-probabilities. */
export interface PreferenceLossGradients {
  /** F32 (1). */
  readonly loss: Value;
  /** F32 (sequences). */
  readonly dLogProbabilities: Value;
}

/** Loss and gradient in one pass. Attributes are those of the forward op. */
export function preferenceLossBackward(
  logProbabilities: Value,
  reference: Value,
  attributes: Attributes,
): PreferenceLossGradients {
  const inputs = [logProbabilities, reference] as const;
  const [loss, , dLogProbabilities] = callOp(preferenceLossBackwardOp, inputs, attributes, lossOutputs);
  return { loss: loss!, dLogProbabilities: dLogProbabilities! };
}

const lossOutputs = { loss: { kind: 'output' }, logRatios: { kind: 'output' } } as const;

export const preferenceLossOp: OpDefinition = defineOp({
  name: 'preferenceLoss',
  family: 'losses',
  computes:
    '`lossScale * sum(-(1 - labelSmoothing) log sigmoid(z) - labelSmoothing log sigmoid(-z))` over pairs of sequences, the ' +
    'chosen before the rejected one, `z = beta (logRatio[chosen] - logRatio[rejected])`, `logRatios = logProbabilities - ' +
    'reference`; a pair of which a reference is NaN counts for nothing, its ratios are 0 (DPO)',
  operands: 'logProbabilities:f32[s] reference:f32[s] -> loss:f32[1] logRatios:f32[s]',
  attributes: 'beta=0.1 labelSmoothing=0 lossScale=1',
  recompute: 'costly',
  pure: true,
  flops: (node) => 6 * firstInputElements(node),
  fusedLossGradient({ node, needs }) {
    const [logProbabilities, reference] = node.inputs as [Value, Value];
    const { loss, dLogProbabilities } = preferenceLossBackward(logProbabilities, reference, node.attributes);
    return { loss, inputGradients: [needs(0) ? dLogProbabilities : undefined, undefined] };
  },
});

export const preferenceLossBackwardOp: OpDefinition = defineOp({
  name: 'preferenceLossBackward',
  family: 'losses',
  computes: 'the same with the gradient of the log-probabilities',
  operands:
    'logProbabilities:f32[s] reference:f32[s] -> loss:f32[1] logRatios:f32[s] dLogProbabilities:f32[s]',
  attributes: 'beta=0.1 labelSmoothing=0 lossScale=1',
  recompute: 'costly',
  pure: true,
  flops: (node) => 9 * firstInputElements(node),
});
