import { compactError } from '../../../errors.js';
import { checkValue, wholeNumber } from '../../../options.js';

/** Where a record goes. */
export interface PackedPart {
  /** Of the list of records. */
  readonly record: number;
  /** Where its tokens start in their sequence. */
  readonly start: number;
  readonly length: number;
}

/** Which records stand in which sequence. */
export interface Packing {
  readonly sequenceLength: number;
  /** Parts of each sequence, one behind the other from its start; what follows the last one is padding. */
  readonly sequences: readonly (readonly PackedPart[])[];
  /** Tokens of padding in all sequences together. */
  readonly numPadding: number;
}

/**
 * Puts whole records into sequences of one length by best fit decreasing: the longest record first, each into the sequence
 * that it leaves the least room in, else into a new one. Takes at most 11/9 of the fewest sequences, and one more (Johnson
 * et al. 1974). Records of one length keep their order, so the result is a function of the lengths alone.
 *
 * @param lengths tokens of each record; one of none is left out
 * @param sequenceLength tokens of a sequence
 * @throws ERR_COMPACT_CONFIG_VALUE for a length that is not possible, ERR_COMPACT_DATA_RECORD for a record longer than a
 *   sequence, ERR_COMPACT_DATA_EMPTY where nothing is left
 */
export function packRecords(lengths: readonly number[], sequenceLength: number): Packing {
  checkValue(sequenceLength, wholeNumber(1), 'sequenceLength');
  const longer = lengths.findIndex((length) => length > sequenceLength);
  if (longer >= 0)
    throw compactError('ERR_COMPACT_DATA_RECORD', `record ${longer + 1} is longer than a sequence`, {
      op: 'sequenceLength',
      expected: `at most ${sequenceLength} tokens`,
      received: `${lengths[longer]} tokens`,
      remedy: 'Choose a longer sequence, or truncate such records',
      details: { record: longer },
    });
  const order = lengths
    .map((length, record) => ({ length, record }))
    .filter(({ length }) => length > 0)
    .toSorted((a, b) => b.length - a.length || a.record - b.record);
  if (order.length === 0)
    throw compactError('ERR_COMPACT_DATA_EMPTY', 'there is nothing to pack into sequences', {
      op: 'data',
      expected: 'at least one record with a token',
      received: `${lengths.length} records without any`,
    });
  const sequences: PackedPart[][] = [];
  const rooms = new Rooms(sequenceLength);
  let numTokens = 0;
  for (const { length, record } of order) {
    const found = rooms.take(length);
    const sequence = found?.sequence ?? sequences.push([]) - 1;
    const room = found?.room ?? sequenceLength;
    sequences[sequence]!.push({ record, start: sequenceLength - room, length });
    rooms.add(room - length, sequence);
    numTokens += length;
  }
  return { sequenceLength, sequences, numPadding: sequences.length * sequenceLength - numTokens };
}

/** The sequences that have some room left, by that room. A tree of sums finds the least room that is enough. */
class Rooms {
  readonly #numLeaves: number;
  /** Sequences with the rooms below each node of a binary tree; leaf r has those with r tokens of room. */
  readonly #counts: Int32Array;
  readonly #sequences: number[][];

  constructor(longest: number) {
    this.#numLeaves = 2 ** Math.ceil(Math.log2(longest + 1));
    this.#counts = new Int32Array(2 * this.#numLeaves);
    this.#sequences = Array.from({ length: longest + 1 }, () => []);
  }

  add(room: number, sequence: number): void {
    this.#sequences[room]!.push(sequence);
    this.#count(room, 1);
  }

  /** Takes out the sequence with the least room from `length` on; of equal ones the latest. */
  take(length: number): { readonly room: number; readonly sequence: number } | undefined {
    const room = this.#leastFrom(length);
    if (room === undefined) return undefined;
    this.#count(room, -1);
    return { room, sequence: this.#sequences[room]!.pop()! };
  }

  #count(room: number, change: number): void {
    for (let node = this.#numLeaves + room; node > 0; node >>= 1) this.#counts[node]! += change;
  }

  #leastFrom(length: number): number | undefined {
    let node = this.#numLeaves + length;
    if (this.#counts[node]! > 0) return length;
    // Up until something lies to the right, then down to the leftmost of it.
    while (node > 1 && (node % 2 === 1 || this.#counts[node + 1] === 0)) node >>= 1;
    if (node === 1) return undefined;
    node++;
    while (node < this.#numLeaves) node = this.#counts[2 * node]! > 0 ? 2 * node : 2 * node + 1;
    return node - this.#numLeaves;
  }
}
