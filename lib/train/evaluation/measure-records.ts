import { openRecords, pathsOf } from '../../data/records/index.js';
import type { RecordDataOptions, RecordStatistics } from '../../data/records/index.js';
import { recordDataTable } from '../../data/records/record-data-options.js';
import type { Model } from '../../graph/index.js';
import { labelOptions } from '../../data/records/labelled-batch.js';
import { checkOptions } from '../../options.js';

/** Sequences are a multiple of it, which products of matrices on a GPU like. */
const lengthUnit = 64;

/**
 * What records hold, in a reading of their own: sizes that follow from it are needed before a run is planned.
 * @param contextLength tokens that a record may have
 * @param batchFields what the model reads: it tells what labels are
 * @throws what `prepareData` and the encoding of records throw
 */
export async function measureRecords(
  data: RecordDataOptions,
  contextLength: number,
  { batchFields }: Pick<Model, 'batchFields'>,
): Promise<RecordStatistics> {
  const checked = checkOptions(data, recordDataTable, { what: 'data', prefix: 'data.' });
  const { records: files, validation: _, validationFraction: __, packing: ___, ...encoding } = checked;
  const encoder = await openRecords({
    ...encoding,
    ...labelOptions(encoding, batchFields),
    files: pathsOf(files),
    contextLength,
  });
  return encoder.encodeAll(() => {});
}

/** Tokens of a sequence that holds the longest record. */
export const lengthFor = ({ longest }: RecordStatistics, maxSequenceLength: number): number =>
  Math.min(lengthUnit * Math.ceil(longest / lengthUnit), maxSequenceLength);
