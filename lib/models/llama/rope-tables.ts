/**
 * Cosines and sines of rotary positions (Su et al. 2021): the angle of position p and pair i is
 * p * theta^(-2 i / headSize), computed in double precision, each table (sequenceLength, headSize / 2).
 */
export function ropeTables(
  sequenceLength: number,
  headSize: number,
  theta: number,
): Readonly<Record<'rope.cos' | 'rope.sin', Float32Array>> {
  const pairs = headSize / 2;
  const cos = new Float32Array(sequenceLength * pairs);
  const sin = new Float32Array(sequenceLength * pairs);
  for (let position = 0; position < sequenceLength; position++) {
    for (let pair = 0; pair < pairs; pair++) {
      const angle = position * theta ** ((-2 * pair) / headSize);
      cos[position * pairs + pair] = Math.cos(angle);
      sin[position * pairs + pair] = Math.sin(angle);
    }
  }
  return { 'rope.cos': cos, 'rope.sin': sin };
}
