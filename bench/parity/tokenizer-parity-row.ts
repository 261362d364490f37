import type { LedgerCase } from '../../lib/cli/bench/ledger.js';

/** What two implementations of a tokenizer made of the same lines. */
export interface TokenizerParityRow extends LedgerCase {
  readonly numLines: number;
  /** Lines with the same ids. */
  readonly equalIds: number;
  /** Lines whose ids, as the peer made them, have the same text; control tokens have none. */
  readonly equalTexts: number;
}
