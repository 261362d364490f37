import { ignoreIndex } from '../../types.js';
import type { MarkedTokens } from '../encode/encoded-record.js';
import type { PackedPart } from './pack.js';

/** A sequence of several records, as a model reads it. All are (sequenceLength). */
export interface PackedSequence {
  readonly tokens: Int32Array;
  /** The token that should follow, or `ignoreIndex` where none is learnt: never one of the next record. */
  readonly targets: Int32Array;
  /** Counted from the start of the record. */
  readonly positions: Int32Array;
  /** The first position of the sequence that a token may attend to: the start of its record. */
  readonly firstKey: Int32Array;
}

/**
 * Lays out the records of a sequence one behind the other. Padding is a document of its own, of which nothing counts.
 *
 * @param padId what stands where no record does
 */
export function layOut(
  parts: readonly PackedPart[],
  records: readonly MarkedTokens[],
  sequenceLength: number,
  padId: number,
): PackedSequence {
  const tokens = new Int32Array(sequenceLength).fill(padId);
  const targets = new Int32Array(sequenceLength).fill(ignoreIndex);
  const positions = new Int32Array(sequenceLength);
  const firstKey = new Int32Array(sequenceLength);
  let end = 0;
  for (const { record, start, length } of parts) {
    const { ids, counts } = records[record]!;
    tokens.set(ids, start);
    for (let i = 0; i < length; i++) {
      positions[start + i] = i;
      firstKey[start + i] = start;
      if (i + 1 < length && counts[i + 1] === 1) targets[start + i] = ids[i + 1]!;
    }
    end = start + length;
  }
  for (let i = end; i < sequenceLength; i++) {
    positions[i] = i - end;
    firstKey[i] = end;
  }
  return { tokens, targets, positions, firstKey };
}
