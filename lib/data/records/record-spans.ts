import { compactError } from '../../errors.js';
import type { BatchField } from '../../graph/index.js';
import type { DatasetOptions } from '../dataset.js';
import { permutation } from '../../graph/permutation.js';
import { arrange, type Arrangement } from './packing/arrangement.js';
import type { RecordFile } from './record-file.js';
import { drawsAnew, recordsOfEpoch, type WeightedRecords } from './sources.js';

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
  /** Where the sequence stands that comes after so many others. */
  readonly placeOf: (position: number) => { readonly epoch: number; readonly sequence: number };
  /** Of the first epoch, as tokens are; others differ where records are drawn for each. */
  readonly numSequences: number;
  readonly numTokens: number;
  /** Of its files in the order in which they come. */
  readonly weights: readonly number[];
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
  {
    validationFraction,
    weights,
  }: { readonly validationFraction: number; readonly weights: ReadonlyMap<string, number> },
  options: SequenceOptions,
): { readonly train: RecordSpan; readonly validation: RecordSpan | undefined } {
  const { isHeldOut = false, needsValidation = false, seed } = options;
  const all = numbersOf(train!);
  if (isHeldOut) {
    const whole = spanOf(train!, [{ records: all, weight: 1 }], options);
    return { train: whole, validation: whole };
  }
  if (validation !== undefined)
    return {
      train: spanOf(train!, weighted(all, train!, weights), options, seed),
      validation: spanOf(validation, [{ records: numbersOf(validation), weight: 1 }], options),
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
    train: spanOf(train!, weighted(kept, train!, weights), options, seed),
    validation: held.length === 0 ? undefined : spanOf(train!, [{ records: held, weight: 1 }], options),
  };
}

/** Numbers of the records that have tokens; of pairs those of their better answers. */
const numbersOf = ({ lengths, isPaired }: RecordFile): readonly number[] =>
  lengths.flatMap((length, record) => (length > 0 && !(isPaired && record % 2 === 1) ? [record] : []));

/** Records of each file with its weight. */
const weighted = (
  records: readonly number[],
  { paths }: RecordFile,
  weights: ReadonlyMap<string, number>,
): readonly WeightedRecords[] =>
  [...weights].map(([path, weight]) => ({
    weight,
    records: records.filter((record) => paths[record] === path),
  }));

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
  sources: readonly WeightedRecords[],
  { sequenceLength, isPacked }: SequenceOptions,
  seed?: number,
): RecordSpan {
  const chosenIn = (epoch: number): readonly number[] => recordsOfEpoch(sources, { seed: seed ?? 0, epoch });
  const records = chosenIn(0);
  const sumOf = (counts: readonly number[]): number =>
    records.reduce((sum, record) => sum + counts[record]! + (file.isPaired ? counts[record + 1]! : 0), 0);
  if (sumOf(file.counted) === 0)
    throw compactError('ERR_COMPACT_DATA_EMPTY', 'the records hold nothing that is learnt', {
      op: 'data',
      expected: 'at least one token that counts in the loss',
      received: `${records.length} records of ${sumOf(file.lengths)} tokens`,
      remedy: 'Look at them with compact-train data preview; a longer sequenceLength truncates less',
    });
  const ofEpoch = (epoch: number): Arrangement =>
    arrange(chosenIn(epoch), file.lengths, {
      sequenceLength,
      isPacked,
      isPaired: file.isPaired,
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
  const numSequencesIn = (epoch: number): number => arrangement(epoch).starts.length - 1;
  const numSequences = numSequencesIn(0);
  return {
    file,
    arrangement,
    placeOf: placesOfEpochs(drawsAnew(sources) ? numSequencesIn : () => numSequences),
    numSequences,
    numTokens: sumOf(file.lengths),
    weights: sources.map(({ weight }) => weight),
  };
}

/** Epochs follow each other without a gap, of whatever length each is. */
function placesOfEpochs(numSequencesIn: (epoch: number) => number): RecordSpan['placeOf'] {
  const ends: number[] = [];
  return (position) => {
    while ((ends.at(-1) ?? 0) <= position) ends.push((ends.at(-1) ?? 0) + numSequencesIn(ends.length));
    // What is asked for is in the last epochs.
    let epoch = ends.length - 1;
    while (epoch > 0 && ends[epoch - 1]! > position) epoch--;
    return { epoch, sequence: position - (ends[epoch - 1] ?? 0) };
  };
}
