import { ignoreIndex } from '../../types.js';
import type { MarkedTokens } from '../encode/encoded-record.js';

/** A sequence of several records, as a model reads it. All are (sequenceLength). */
export interface PackedSequence {
  readonly tokens: Int32Array;
  /** The token that should follow, or `ignoreIndex` where none is learnt: never one of the next record. */
  readonly targets: Int32Array;
  /** Counted from the start of the record. */
  readonly positions: Int32Array;
  /** The first position of the sequence that a token may attend to: where its record starts. */
  readonly firstKeys: Int32Array;
}

/**
 * Lays out records in a sequence, one behind the other. Padding is a document of its own, of which nothing counts.
 *
 * @param padId what stands where no record does
 */
export function layOut(
  records: readonly MarkedTokens[],
  sequenceLength: number,
  padId: number,
): PackedSequence {
  const tokens = new Int32Array(sequenceLength).fill(padId);
  const targets = new Int32Array(sequenceLength).fill(ignoreIndex);
  const positions = new Int32Array(sequenceLength);
  const firstKeys = new Int32Array(sequenceLength);
  const place = (start: number, end: number): void => {
    for (let at = start; at < end; at++) positions[at] = at - start;
    firstKeys.fill(start, start, end);
  };
  let end = 0;
  for (const { ids, counts } of records) {
    const start = end;
    end += ids.length;
    tokens.set(ids, start);
    place(start, end);
    for (let i = 1; i < ids.length; i++) if (counts[i] === 1) targets[start + i - 1] = ids[i]!;
  }
  place(end, sequenceLength);
  return { tokens, targets, positions, firstKeys };
}
