import type { BatchField } from '../../graph/index.js';
import { flag, numberWithin, optional, type OptionTable } from '../../options.js';
import { labelField } from './labelled-batch.js';
import { referenceField } from './preference-answers.js';
import { recordFilesRow, type RecordFiles } from './sources.js';
import { recordsTable, type RecordsOptions } from './records-table.js';

/** Where records to train on come from, and how they become sequences. */
export interface RecordDataOptions extends Omit<RecordsOptions, 'files' | 'contextLength'> {
  /**
   * Files of JSON lines, JSON arrays, CSV or parquet, also compressed by gzip. One of a list may be a mapping `{ path, weight }`: how often each
   * of its records is seen in an epoch; 0.5 is half of them, drawn anew for every epoch. Default weight 1.
   */
  readonly records: RecordFiles;
  /** Held-out files. Absent: `validationFraction` of the records, the same ones for every seed. */
  readonly validation?: string | readonly string[];
  /** Share of the records held out when `validation` is absent; 0 holds nothing out. Default 0.05. */
  readonly validationFraction?: number;
  /**
   * Whether a sequence holds as many records as it has room for, none of which sees another. Default: where tokens are
   * learnt; a labelled record and each side of a preference pair have a sequence of their own.
   */
  readonly packing?: boolean;
}

const { files, contextLength: _, ...encoding } = recordsTable;

export const recordDataTable = {
  records: recordFilesRow,
  validation: optional(files),
  validationFraction: optional(numberWithin(0, 1), 0.05),
  packing: optional(flag),
  ...encoding,
} satisfies OptionTable<RecordDataOptions>;

/** Whether sequences hold several records, for a model that reads these fields. */
export const packsRecords = (
  { packing }: Pick<RecordDataOptions, 'packing'>,
  batchFields: readonly BatchField[],
): boolean => packing ?? (labelField(batchFields) === undefined && referenceField(batchFields) === undefined);
