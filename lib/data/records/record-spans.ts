import { compactError } from '../../errors.js';
import type { BatchField } from '../../graph/index.js';
import type { DatasetOptions } from '../dataset.js';
import { permutation } from '../permutation.js';
import { arrange, type Arrangement } from './packing/arrangement.js';
import type { RecordFile } from './record-file.js';

/** What a run asks of its records. */
export type SequenceOptions = DatasetOptions & {
  readonly isPacked: boolean;
  /** What the model reads. */
  readonly batchFields: readonly BatchField[];
};

/** Some records of a file, and how they stand in sequences. */
export interface RecordSpan {
  readonly file: RecordFile;
  readonly arrangement: (epoch: number) => Arrangement;
  readonly numSequences: number;
  readonly numTokens: number;
}

/** Records of a sequence, in their order. */
export const recordsOf = ({ records, starts }: Arrangement, sequence: number): readonly number[] =>
  Array.from(records.subarray(starts[sequence], starts[sequence + 1]));

/**
 * Records to train on and records held out: of files of their own, or a share of the same ones.
 * @param files the training records, and those held out where they have files
 * @throws ERR_COMPACT_DATA_TOO_SHORT where none is left to hold out and one is needed, ERR_COMPACT_DATA_EMPTY
 */
export function spansOf(
  [train, validation]: readonly RecordFile[],
  { validationFraction }: { readonly validationFraction: number },
  options: SequenceOptions,
): { readonly train: RecordSpan; readonly validation: RecordSpan | undefined } {
  const { isHeldOut = false, needsValidation = false, seed } = options;
  const all = numbersOf(train!);
  if (isHeldOut) {
    const whole = spanOf(train!, all, options);
    return { train: whole, validation: whole };
  }
  if (validation !== undefined)
    return {
      train: spanOf(train!, all, options, seed),
      validation: spanOf(validation, numbersOf(validation), options),
    };
  const { kept, held } = holdOut(all, validationFraction);
  if (held.length === 0 && needsValidation)
    throw compactError('ERR_COMPACT_DATA_TOO_SHORT', 'no record is left to hold out for evaluation', {
      op: 'data',
      expected: 'at least two records',
      received: `${all.length}`,
      remedy: 'Use more records, `validation` files, or no evaluation (evalSteps: 0)',
    });
  return {
    train: spanOf(train!, kept, options, seed),
    validation: held.length === 0 ? undefined : spanOf(train!, held, options),
  };
}

/** Numbers of the records that have tokens. */
const numbersOf = ({ lengths }: RecordFile): readonly number[] =>
  lengths.flatMap((length, record) => (length > 0 ? [record] : []));

/** Files are often sorted, so what is held out is drawn; the same whatever the seed of a run. */
function holdOut(all: readonly number[], fraction: number) {
  const wanted = fraction === 0 ? 0 : Math.max(1, Math.round(all.length * fraction));
  const numKept = Math.max(1, all.length - wanted);
  const order = permutation(all.length, 0, 0);
  return {
    kept: all.filter((_, i) => order(i) < numKept),
    held: all.filter((_, i) => order(i) >= numKept),
  };
}

/** @param seed of the order of its epochs; absent: the order of the records, packed once */
function spanOf(
  file: RecordFile,
  records: readonly number[],
  { sequenceLength, isPacked }: SequenceOptions,
  seed?: number,
): RecordSpan {
  const sumOf = (counts: readonly number[]): number =>
    records.reduce((sum, record) => sum + counts[record]!, 0);
  if (sumOf(file.counted) === 0)
    throw compactError('ERR_COMPACT_DATA_EMPTY', 'the records hold nothing that is learnt', {
      op: 'data',
      expected: 'at least one token that counts in the loss',
      received: `${records.length} records of ${sumOf(file.lengths)} tokens`,
      remedy: 'Look at them with compact-train data preview; a longer sequenceLength truncates less',
    });
  const ofEpoch = (epoch: number): Arrangement =>
    arrange(records, file.lengths, {
      sequenceLength,
      isPacked,
      shuffle: seed === undefined ? undefined : { seed, epoch },
    });
  const known = new Map<number, Arrangement>();
  const arrangement = (given: number): Arrangement => {
    const epoch = seed === undefined ? 0 : given;
    const found = known.get(epoch) ?? ofEpoch(epoch);
    // A batch touches neighbouring epochs at most; older ones are never asked for again.
    if (!known.has(epoch) && known.size > 1) known.delete(Math.min(...known.keys()));
    known.set(epoch, found);
    return found;
  };
  const numSequences = arrangement(0).starts.length - 1;
  return { file, arrangement, numSequences, numTokens: sumOf(file.lengths) };
}
