import type { RecordPlace } from '../readers/index.js';

/** Ids, and which of them are learnt. */
export interface MarkedTokens {
  /** (tokens) */
  readonly ids: Int32Array;
  /** (tokens), 1 where a token counts in the loss as what should follow the tokens before it. The first never does. */
  readonly counts: Uint8Array;
}

/** A record as a model reads it; of a preference pair the better answer, behind its prompt. */
export interface EncodedRecord extends MarkedTokens {
  readonly place: RecordPlace;
  /** Of a preference pair: the worse answer, behind the same prompt. */
  readonly rejected: MarkedTokens | undefined;
  /** Of a text with labels: the numbers of its classes, or the one number that is to be predicted. */
  readonly labels: readonly number[] | undefined;
  /** Whether tokens were left out at its end, because it was longer than the context. */
  readonly isTruncated: boolean;
}

/** The sequences that a record is: itself, or of a preference pair the chosen and then the rejected one. */
export const sidesOf = ({ ids, counts, rejected }: EncodedRecord): readonly MarkedTokens[] =>
  rejected === undefined ? [{ ids, counts }] : [{ ids, counts }, rejected];
