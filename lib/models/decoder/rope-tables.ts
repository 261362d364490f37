import { frequenciesOf, type Rope } from './rope-scaling.js';

/**
 * Cosines and sines of rotary positions (Su et al. 2021): the angle of position p and pair i is
 * p * theta^(-2 i / headSize), or what a scaling makes of it, computed in double precision, each table
 * (sequenceLength, headSize / 2).
 */
export function ropeTables(
  sequenceLength: number,
  headSize: number,
  rope: Rope,
): Readonly<Record<'rope.cos' | 'rope.sin', Float32Array>> {
  const pairs = headSize / 2;
  const { perPair, amplitude } = frequenciesOf(rope, headSize, sequenceLength);
  const cos = new Float32Array(sequenceLength * pairs);
  const sin = new Float32Array(sequenceLength * pairs);
  for (let position = 0; position < sequenceLength; position++) {
    for (const [pair, frequency] of perPair.entries()) {
      const angle = position * frequency;
      cos[position * pairs + pair] = amplitude * Math.cos(angle);
      sin[position * pairs + pair] = amplitude * Math.sin(angle);
    }
  }
  return { 'rope.cos': cos, 'rope.sin': sin };
}
