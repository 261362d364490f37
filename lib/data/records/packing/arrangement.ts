import { permutation } from '../../../graph/permutation.js';
import { packRecords } from './pack.js';

/** Which records stand in which sequence of an epoch, one behind the other. */
export interface Arrangement {
  /** Records of all sequences in their order. */
  readonly records: Int32Array;
  /** Where those of each sequence begin in `records`, and the end of the last. */
  readonly starts: Int32Array;
}

export interface ArrangeOptions {
  readonly sequenceLength: number;
  /** Whether a sequence holds as many records as it has room for, and not one alone. */
  readonly isPacked: boolean;
  /** Whether a chosen number and the one behind it are a pair, whose sequences follow one another. */
  readonly isPaired: boolean;
  /** Of the order of an epoch; absent: the order of the records. */
  readonly shuffle?: { readonly seed: number; readonly epoch: number };
}

/**
 * Puts records into sequences. How many those are depends on the lengths alone; which records share one, and the order
 * of the sequences, are drawn anew for every epoch.
 * @param chosen numbers of records
 * @param lengths tokens of every record by its number
 * @throws what packing throws
 */
export function arrange(
  chosen: readonly number[],
  lengths: readonly number[],
  { sequenceLength, isPacked, isPaired, shuffle }: ArrangeOptions,
): Arrangement {
  const shuffled = <T>(items: readonly T[], stream: number): readonly T[] => {
    if (shuffle === undefined) return items;
    const order = permutation(items.length, shuffle.seed, 2 * shuffle.epoch + stream);
    return items.map((_, i) => items[order(i)]!);
  };
  const records = shuffled(chosen, 1);
  const together = (): (readonly number[])[] => {
    const packing = packRecords(
      records.map((record) => lengths[record]!),
      sequenceLength,
    );
    return packing.sequences.map((parts) => parts.map(({ record }) => records[record]!));
  };
  const apart = (): (readonly number[])[] =>
    records.flatMap((record) => (isPaired ? [[record], [record + 1]] : [[record]]));
  const sequences = isPacked ? shuffled(together(), 2) : apart();
  const starts = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, i) => (starts[i + 1] = starts[i]! + sequence.length));
  return { records: Int32Array.from(sequences.flat()), starts };
}
