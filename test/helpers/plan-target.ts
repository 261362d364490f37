import type { Target } from '../../lib/compile/index.js';
import { numElements } from '../../lib/graph/index.js';

/**
 * A machine for planner tests: workspaces by simple formulas of the size that real kernels ask for, so that plans can
 * be tested without the addon.
 */
export const planTarget: Target = {
  device: 'cpu',
  workspaceBytes({ op, inputs, outputs, attributes }) {
    switch (op) {
      case 'linearCrossEntropy':
      case 'linearCrossEntropyBackward':
      case 'linearCrossEntropyInputBackward':
      case 'linearCrossEntropyRowsBackward':
      case 'linearCrossEntropyInt8':
      case 'linearCrossEntropyInt8Backward':
      case 'linearLogProbabilities':
      case 'linearLogProbabilitiesInputBackward':
      case 'linearLogProbabilitiesWeightBackward': {
        const [tokens] = inputs[0]!.shape;
        const vocabulary = inputs[1]!.shape[0]!;
        return 4 * vocabulary * Math.min(tokens!, attributes.chunkTokens as number);
      }
      case 'rmsNormBackward':
        return 4 * 64 * inputs[0]!.shape[1]!;
      case 'matmul':
      case 'matmulInt8':
      case 'matmulNf4':
      case 'project':
        return 1 << 20;
      case 'projectTransfer':
        return 4 * numElements(outputs[0]!.shape);
      default:
        return 0;
    }
  },
};

/** The same, with ops whose workspace is prepared beside the instruction before them. */
export const preparingTarget: Target = {
  ...planTarget,
  preparedOps: new Set(['project', 'projectTransfer']),
};

/** A machine that runs groups and prepares panels of P for updates; its products need no scratch. */
export const groupingTarget: Target = {
  device: 'cuda',
  preparedOps: new Set(['project', 'projectBackUpdate']),
  groupedOps: new Set(['matmul', 'adamDirection', 'projectBackUpdate', 'rope']),
  workspaceBytes(call) {
    if (call.op === 'matmul') return 0;
    if (call.op !== 'projectBackUpdate') return planTarget.workspaceBytes(call);
    return 2 * call.inputs[0]!.shape[0]! * call.inputs[1]!.shape[0]!;
  },
};
