import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { numberAbove, optional, path } from '../../options.js';
import { permutation } from '../../graph/permutation.js';

/** A file of records, and how often each of them is seen in an epoch. */
export interface WeightedFile {
  readonly path: string;
  /**
   * Times that a record is seen in an epoch: of a fraction a share of the records, drawn anew for every epoch. Default 1.
   */
  readonly weight?: number;
}

/** Files, alike or with weights. */
export type RecordFiles = string | readonly (string | WeightedFile)[];

const expected = 'a path, or a list of paths or of { path, weight }, weights above 0, at most 1000';
const weightedFile = v.strictObject({ path, weight: optional(numberAbove(0, 1000), 1) }, expected);

export const recordFilesRow = v.union(
  [path, v.pipe(v.array(v.union([path, weightedFile], expected)), v.nonEmpty(expected))],
  expected,
);

const filesOf = (files: RecordFiles): readonly (string | WeightedFile)[] => [files].flat();

export const pathsOf = (files: RecordFiles): readonly string[] =>
  filesOf(files).map((file) => (typeof file === 'string' ? file : file.path));

/**
 * Weights of files by their paths.
 * @throws ERR_COMPACT_CONFIG_VALUE for a file with two of them
 */
export function weightsOf(files: RecordFiles): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const file of filesOf(files)) {
    const { path: name, weight = 1 } = typeof file === 'string' ? { path: file } : file;
    const known = weights.get(name) ?? weight;
    if (known !== weight)
      throw compactError('ERR_COMPACT_CONFIG_VALUE', `${name} has two weights`, {
        op: 'data.records',
        expected: 'one weight for each file',
        received: `${known} and ${weight}`,
      });
    weights.set(name, weight);
  }
  return weights;
}

/** Some records that share a weight. */
export interface WeightedRecords {
  readonly records: readonly number[];
  readonly weight: number;
}

/** Whether epochs hold other records than each other. */
export const drawsAnew = (sources: readonly WeightedRecords[]): boolean =>
  sources.some(({ weight }) => !Number.isInteger(weight));

/**
 * The records of an epoch, each as often as the whole part of its weight says; of the fraction so many of a source, whichever
 * they are. As many in every epoch, a function of seed and epoch alone.
 */
export const recordsOfEpoch = (
  sources: readonly WeightedRecords[],
  { seed, epoch }: { readonly seed: number; readonly epoch: number },
): readonly number[] =>
  sources.flatMap(({ records, weight }, source) => {
    const whole = Math.floor(weight);
    const numDrawn = Math.round((weight - whole) * records.length);
    // The streams from 1 on are those of the order of epochs.
    const order = permutation(records.length, seed, -1 - (epoch * sources.length + source));
    const drawn = records.filter((_, i) => order(i) < numDrawn);
    return [...Array.from({ length: whole }, () => records).flat(), ...drawn];
  });
