// Values are held as eight-bit floats E4M3 with one fp32 scale for each group of consecutive elements (COAT, Xi et al. 2024,
// arXiv 2410.19313). The paper computes its products with the same codes, with one scale for a whole input of a
// linear layer and groups elsewhere; here forward computes with the values themselves, and everything is in groups.
import { dequantizeFp8, quantizeFp8 } from '../../graph/index.js';
import type { Codec } from './saving.js';

/**
 * Eight bits for an element, whose relative error is the same from a group's largest magnitude to a 28,000th of it.
 * @param groupSize elements that share a scale
 */
export const fp8Groups = (groupSize: number): Codec => ({
  encode(value) {
    const { codes, scales } = quantizeFp8(value, groupSize);
    return [codes, scales];
  },
  decode: ([codes, scales], { dtype }) => dequantizeFp8({ codes: codes!, scales: scales! }, groupSize, dtype),
});
