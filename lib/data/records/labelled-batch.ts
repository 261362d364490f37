import { compactError } from '../../errors.js';
import type { BatchField } from '../../graph/index.js';
import { shown } from '../../options.js';
import { ignoreIndex, type Batch } from '../types.js';
import type { KindOptions } from './kinds/index.js';

/** Names of the arrays of batches of labelled records; models with one type of tokens read no types. */
export const labelledFields: readonly string[] = ['tokens', 'attentionMask', 'tokenTypes', 'labels'];

/** The field of a model that reads the label of each sequence, a class or a number; undefined: it learns tokens. */
export const labelField = (batchFields: readonly BatchField[]): BatchField | undefined =>
  batchFields.find(({ name }) => name === 'labels');

/** Whether a model predicts a number for each sequence, and not a class. */
const isNumber = ({ dtype }: BatchField): boolean => dtype === 'f32';

/** Classes of a model that tells any number of them at once, by a label for each; undefined: one label is all. */
export const classesAtOnce = ({ shape: [, classes] }: BatchField): number | undefined =>
  classes as number | undefined;

/** Classes that a label may name; undefined: it is a number. */
export const classesOf = (field: BatchField): number | undefined => classesAtOnce(field) ?? field.numIds;

/** What labels of records are. */
type LabelOptions = Pick<KindOptions, 'classes' | 'regression'>;

/**
 * What labels are for a model: what it predicts, where the data does not say it.
 * @throws ERR_COMPACT_CONFIG_VALUE where the data says something else
 */
export function labelOptions(
  { classes, regression }: LabelOptions,
  batchFields: readonly BatchField[],
): LabelOptions {
  const field = labelField(batchFields);
  if (field === undefined) return { classes, regression };
  const ofModel = isNumber(field);
  if (regression === !ofModel) throw otherLabels('regression', regression, ofModel);
  if (ofModel && classes !== undefined) throw otherLabels('classes', classes, ofModel);
  return ofModel ? { regression: true } : { classes: classes ?? classesOf(field) };
}

const otherLabels = (name: string, given: unknown, ofModel: boolean): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', 'the model predicts something else than the labels are', {
    op: `data.${name}`,
    expected: `labels that are ${ofModel ? 'numbers' : 'classes'}, as the model has them`,
    received: shown(given),
    remedy: `Leave ${name} out, or choose a model for ${ofModel ? 'sequence-classification' : 'regression'}`,
  });

/** A record for a sequence of its own. */
export interface LabelledTokens {
  readonly ids: Int32Array;
  /** The number of its class, or those of all of them, or the one number that is to be predicted. */
  readonly labels: readonly number[];
}

/**
 * Records as a model for labels reads them: each a sequence, padded at its end, all of one type of tokens.
 * @param rows undefined: a sequence without a record, whose label counts for nothing
 */
export function labelledBatch(
  rows: readonly (LabelledTokens | undefined)[],
  {
    sequenceLength,
    padId,
    batchFields,
  }: {
    readonly sequenceLength: number;
    readonly padId: number;
    readonly batchFields: readonly BatchField[];
  },
): Batch {
  const numTokens = rows.length * sequenceLength;
  const tokens = new Int32Array(numTokens).fill(padId);
  const attentionMask = new Uint8Array(numTokens);
  const field = labelField(batchFields)!;
  const numClasses = classesAtOnce(field);
  const width = numClasses ?? 1;
  const labels = isNumber(field)
    ? new Float32Array(rows.length).fill(NaN)
    : new Int32Array(rows.length * width).fill(ignoreIndex);
  rows.forEach((row, i) => {
    // The first token gives what is made of a sequence, and has to see one, also where there is no record.
    attentionMask.fill(1, i * sequenceLength, i * sequenceLength + Math.max(1, row?.ids.length ?? 0));
    if (row === undefined) return;
    tokens.set(row.ids, i * sequenceLength);
    labels.set(numClasses === undefined ? row.labels : oneOrZero(row.labels, numClasses), i * width);
  });
  const all = { tokens, attentionMask, tokenTypes: new Int32Array(numTokens), labels };
  return {
    inputs: Object.fromEntries(
      Object.entries(all).filter(([name]) => batchFields.some((f) => f.name === name)),
    ),
    numCountedTokens: width * rows.filter((row) => row !== undefined).length,
  };
}

/** 1 for each class of a sequence, 0 for the others. */
function oneOrZero(labels: readonly number[], numClasses: number): Int32Array {
  const all = new Int32Array(numClasses);
  for (const label of labels) all[label] = 1;
  return all;
}
