// Adapters of weights that stand side by side in one tensor, as one adapter of the tensor, exactly: the factors A one below
// the other, the factors B each in its own rows and its own columns, and zeros elsewhere.
import type { Factors } from './adapters.js';

/** An adapter, and the output features of its weight within the tensor. */
export interface PlacedFactors extends Factors {
  readonly rank: number;
  readonly first: number;
}

/** @param outputs output features of the tensor */
export function joinedFactors(parts: readonly PlacedFactors[], outputs: number): Factors {
  const rank = parts.reduce((sum, part) => sum + part.rank, 0);
  const inputs = parts[0]!.a.length / parts[0]!.rank;
  const a = new Float32Array(rank * inputs);
  const b = new Float32Array(outputs * rank);
  let done = 0;
  for (const part of parts) {
    a.set(part.a, done * inputs);
    for (let row = 0; row < part.b.length / part.rank; row++)
      b.set(part.b.subarray(row * part.rank, (row + 1) * part.rank), (part.first + row) * rank + done);
    done += part.rank;
  }
  return { a, b };
}
