import type { BatchField } from '../../graph/index.js';
import type { Batch } from '../types.js';

/** The field of a model that learns from preference pairs; undefined: it learns tokens or classes. */
export const referenceField = (batchFields: readonly BatchField[]): BatchField | undefined =>
  batchFields.find(({ name }) => name === 'referenceLogProbabilities');

/** The answers of preference pairs of one file, the better and the worse one of each pair in turn. */
export interface PreferenceAnswers {
  /** Which pairs they are: those that are trained on, or held out in files of their own. */
  readonly name: 'train' | 'validation';
  /** Of all tokens and where each answer ends. */
  readonly sha256: string;
  /**
   * (answers) Log-probability of each under the model that the run starts from, which batches hand to the model: 0 until it is
   * written here.
   */
  readonly reference: Float32Array;
  /** `count` answers from `first` on, each in a sequence of its own; beyond the last, sequences of which nothing counts. */
  batch(first: number, count: number): Promise<Batch>;
}
