import type { Tokenizer } from '../types.js';
import { sidesOf, type EncodedRecord } from './encode/encoded-record.js';
import type { RecordKind } from './kinds/index.js';

/** What some records hold, before anything is trained on them. */
export interface RecordStatistics {
  readonly kind: RecordKind;
  readonly numRecords: number;
  readonly numTokens: number;
  /** Tokens that count in the loss. */
  readonly numCountedTokens: number;
  /** Of the longest record, or side of a pair, in tokens. */
  readonly longest: number;
  /** Records that lost their end, because they were longer than the context. */
  readonly numTruncated: number;
  /** Records of which nothing counts, classified ones left out: what was learnt of them lay behind the context. */
  readonly numWithoutCounted: number;
  /** Tokens that stand for text which the tokenizer has no token for. */
  readonly numUnknown: number;
  /** Sentences on what may not be as the user thinks. */
  readonly warnings: readonly string[];
}

/** Counts records as they come. */
export class StatisticsCounter {
  readonly #tokenizer: Tokenizer;
  #numRecords = 0;
  #numTokens = 0;
  #numCountedTokens = 0;
  #longest = 0;
  #numTruncated = 0;
  #numWithoutCounted = 0;
  #numUnknown = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  add(record: EncodedRecord): void {
    const { labels, isTruncated } = record;
    const { unknownId } = this.#tokenizer;
    let numCounted = 0;
    for (const { ids, counts } of sidesOf(record)) {
      numCounted += counts.reduce((sum, count) => sum + count, 0);
      this.#numTokens += ids.length;
      this.#longest = Math.max(this.#longest, ids.length);
      if (unknownId !== undefined) for (const id of ids) if (id === unknownId) this.#numUnknown++;
    }
    this.#numRecords++;
    this.#numCountedTokens += numCounted;
    if (isTruncated) this.#numTruncated++;
    if (numCounted === 0 && labels === undefined) this.#numWithoutCounted++;
  }

  statistics(kind: RecordKind): RecordStatistics {
    return {
      kind,
      numRecords: this.#numRecords,
      numTokens: this.#numTokens,
      numCountedTokens: this.#numCountedTokens,
      longest: this.#longest,
      numTruncated: this.#numTruncated,
      numWithoutCounted: this.#numWithoutCounted,
      numUnknown: this.#numUnknown,
      warnings: this.#warnings(kind),
    };
  }

  #warnings(kind: RecordKind): readonly string[] {
    const { name, endOfTextId } = this.#tokenizer;
    const warnings: string[] = [];
    if (this.#numUnknown > 0)
      warnings.push(
        `${this.#numUnknown} of ${this.#numTokens} tokens stand for text that the tokenizer ${name} does not know.`,
      );
    if (this.#numTruncated > 0)
      warnings.push(
        `${this.#numTruncated} of ${this.#numRecords} records lost their end: the context is shorter.`,
      );
    if (this.#numWithoutCounted > 0)
      warnings.push(`Nothing is learnt of ${this.#numWithoutCounted} of ${this.#numRecords} records.`);
    if (endOfTextId === undefined && kind !== 'messages')
      warnings.push(`The tokenizer ${name} names no end of text, so the model cannot learn where one ends.`);
    return warnings;
  }
}
