import type { Batch } from '../../lib/data/index.js';
import type { Window } from '../../lib/train/schedule/optimizer-step.js';

/** A window of an optimizer step whose micro-batches are at hand. */
export const windowOf = (batches: readonly Batch[]): Window => ({
  numMicroBatches: batches.length,
  numCountedTokens: batches.reduce((sum, { numCountedTokens }) => sum + numCountedTokens, 0),
  microBatch: async (index) => batches[index]!,
});
