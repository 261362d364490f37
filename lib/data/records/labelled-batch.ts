import type { BatchField } from '../../graph/index.js';
import { ignoreIndex, type Batch } from '../types.js';

/** Names of the arrays of batches of labelled records; models with one type of tokens read no types. */
export const labelledFields: readonly string[] = ['tokens', 'attentionMask', 'tokenTypes', 'labels'];

/** The field of a model that reads the class of each sequence; undefined: it learns tokens. */
export const labelField = (batchFields: readonly BatchField[]): BatchField | undefined =>
  batchFields.find(({ name }) => name === 'labels');

/** A record for a sequence of its own. */
export interface LabelledTokens {
  readonly ids: Int32Array;
  /** The number of its class. */
  readonly label: number;
}

/**
 * Records as a model for classes reads them: each a sequence, padded at its end, all of one type of tokens.
 * @param rows undefined: a sequence without a record, whose label counts for nothing
 */
export function labelledBatch(
  rows: readonly (LabelledTokens | undefined)[],
  {
    sequenceLength,
    padId,
    batchFields,
  }: {
    readonly sequenceLength: number;
    readonly padId: number;
    readonly batchFields: readonly BatchField[];
  },
): Batch {
  const numTokens = rows.length * sequenceLength;
  const tokens = new Int32Array(numTokens).fill(padId);
  const attentionMask = new Uint8Array(numTokens);
  const labels = new Int32Array(rows.length).fill(ignoreIndex);
  rows.forEach((row, i) => {
    // The first token gives what is made of a sequence, and has to see one, also where there is no record.
    attentionMask.fill(1, i * sequenceLength, i * sequenceLength + Math.max(1, row?.ids.length ?? 0));
    if (row === undefined) return;
    tokens.set(row.ids, i * sequenceLength);
    labels[i] = row.label;
  });
  const all = { tokens, attentionMask, tokenTypes: new Int32Array(numTokens), labels };
  return {
    inputs: Object.fromEntries(
      Object.entries(all).filter(([name]) => batchFields.some((f) => f.name === name)),
    ),
    numCountedTokens: rows.filter((row) => row !== undefined).length,
  };
}
