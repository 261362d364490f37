// Forward computes silu or gelu exactly; backward takes its slope to be a step function of four values, near the true one,
// and so needs of an input two bits alone: in which of four segments it lies (Approx-BP with ReSiLU2 and ReGELU2, Yang et
// al., ICML 2024, arXiv 2406.16282). Which steps is a fact of the op.
import { compactError } from '../../errors.js';
import { definitionOf, segments, segmentsBackward, type Program } from '../../graph/index.js';
import type { StepRules } from '../method.js';

/** Gradients of functions of one number from segments; of other ops as they are. */
export const stepwiseGradient: NonNullable<StepRules['gradient']> = ({ node, needs, outputGradients }) => {
  const { slopeSteps } = definitionOf(node);
  if (slopeSteps === undefined || !needs(0)) return undefined;
  const [x] = node.inputs;
  const codes = x!.graph.at(node.layer, 'forward', () => segments(x!, slopeSteps));
  return [segmentsBackward(codes, outputGradients[0]!, slopeSteps)];
};

/** A program as it is, if it has a function whose slope can be taken in steps. */
export const requireSteps =
  (method: string) =>
  (forward: Program): Program => {
    if (forward.nodes.some((node) => definitionOf(node).slopeSteps !== undefined)) return forward;
    throw compactError(
      'ERR_COMPACT_CONFIG_VALUE',
      `${method}: no activation function of this model is alone`,
      {
        op: 'activationSlopes',
        expected: 'a model with silu or gelu of one input, such as gpt2, bert or roberta',
        received: 'gated units, whose one op keeps gate and up and nothing else',
        remedy: "Leave out activationSlopes; savedActivations: 'int8' halves what gated units keep",
      },
    );
  };
