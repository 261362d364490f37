import { ignoreIndex } from '../../types.js';
import { emptyPlaces, placeDocument, type Places } from '../../places.js';
import type { MarkedTokens } from '../encode/encoded-record.js';

/** A sequence of several records, as a model reads it. All are (sequenceLength). */
export interface PackedSequence extends Places {
  readonly tokens: Int32Array;
  /** The token that should follow, or `ignoreIndex` where none is learnt: never one of the next record. */
  readonly targets: Int32Array;
}

/**
 * Lays out records in a sequence, one behind the other. Padding is a document of its own, of which nothing counts.
 *
 * @param padId what stands where no record does
 * @param slidingWindow tokens that a token sees, itself included; absent: all of its record before it
 */
export function layOut(
  records: readonly MarkedTokens[],
  sequenceLength: number,
  padId: number,
  slidingWindow?: number,
): PackedSequence {
  const tokens = new Int32Array(sequenceLength).fill(padId);
  const targets = new Int32Array(sequenceLength).fill(ignoreIndex);
  const places = emptyPlaces(sequenceLength);
  let end = 0;
  for (const { ids, counts } of records) {
    const start = end;
    end += ids.length;
    tokens.set(ids, start);
    placeDocument(places, 0, { start, end }, slidingWindow);
    for (let i = 1; i < ids.length; i++) if (counts[i] === 1) targets[start + i - 1] = ids[i]!;
  }
  placeDocument(places, 0, { start: end, end: sequenceLength }, slidingWindow);
  return { tokens, targets, ...places };
}
