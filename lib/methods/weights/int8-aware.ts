import { definitionOf, quantize } from '../../graph/index.js';
import { int8GroupSize } from './int8.js';
import type { WeightFormat } from './weights.js';

/**
 * A weight stands in the dtype of the run and is read as the int8 groups that it would be rounded to, so that it learns to be
 * rounded (quantisation-aware training: Jacob et al., CVPR 2018, arXiv 1712.05877). Its gradient is that of the numbers which the
 * codes stand for. The codes are those of the format `int8`.
 */
export const int8Aware: WeightFormat = {
  read: (node, weight) =>
    definitionOf(node).decoding!.int8(node, quantize(weight, int8GroupSize), int8GroupSize),
};
