import type { DataRecord } from '../readers/index.js';
import type { Example } from './example.js';

/** What the words of a record's fields do not say, or not for certain. */
export interface KindOptions {
  /** Key of the text of text and of classified records. Default 'text'. */
  readonly textField: string;
  /** How many classes there are, or their names: then a label may be a name, too. */
  readonly classes?: number | readonly string[];
  /** Whether a label is a number that is to be predicted, and not a class. Default false. */
  readonly regression?: boolean;
  /**
   * Whether it is not said yet what labels mean, so that each may be a class, by number or name, or a number that is to be
   * predicted: examples have NaN in their place. Default false.
   */
  readonly isMeaningOpen?: boolean;
}

/** A kind of training data: how its records are known, and what they have to hold. */
export interface Kind {
  /** The fields that tell it, in words. */
  readonly fields: string;
  matches(fields: DataRecord['fields'], options: KindOptions): boolean;
  /** @throws ERR_COMPACT_DATA_RECORD with the place */
  read(record: DataRecord, options: KindOptions): Example;
}
