// Values are held as int8 codes with one fp32 scale for each group of consecutive elements (Mesa, Pan et al. 2021,
// arXiv 2111.11124). Forward computes with the values themselves; gradients come from the copies that the codes give.
//
// The paper keeps a running estimate (factor 0.9) of each group's range, with the group of a head, so that nothing has
// to be measured. Here the range is the group's own largest magnitude: no value is ever clipped, and there is no state
// that would depend on the order of micro-batches and have to stand in checkpoints.
import { dequantize, quantize } from '../../graph/index.js';
import type { Codec } from './saving.js';

/**
 * Eight bits for an element.
 * @param groupSize elements that share a scale
 */
export const int8Groups = (groupSize: number): Codec => ({
  encode(value) {
    const { codes, scales } = quantize(value, groupSize);
    return [codes, scales];
  },
  decode: ([codes, scales], { dtype }) => dequantize({ codes: codes!, scales: scales! }, groupSize, dtype),
});
