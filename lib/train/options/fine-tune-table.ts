import * as v from 'valibot';
import { recordDataTable } from '../../data/records/record-data-options.js';
import { optional, path, section, type OptionSchema, type OptionTable } from '../../options.js';
import type { FineTuneOptions } from '../fine-tune.js';
import { plainRows } from './recipe.js';
import { trainerTable } from './trainer-table.js';

const expectedData = 'a path, a list of paths, or a plain object, { records: ... }';
const ownRows = {
  model: path,
  data: v.union([recordDataTable.records, section], expectedData),
  outputDirectory: path,
};

type OfTrainer = OptionTable<Omit<FineTuneOptions, keyof typeof ownRows>>;
const mapped = (
  rows: object,
  change: (row: { readonly wrapped?: OptionSchema }) => OptionSchema,
): OfTrainer =>
  Object.fromEntries(
    Object.entries(rows)
      .filter(([name]) => name !== 'baseModel')
      .map(([name, row]) => [name, change(row as { readonly wrapped?: OptionSchema })]),
  ) as unknown as OfTrainer;

/** Every option of a fine-tuning. Those of a trainer are checked by their own table, when what is left out has been chosen. */
export const fineTuneTable = { ...mapped(trainerTable, () => v.unknown()), ...ownRows };

/** The same in plain values: none of them has to be given, and what is left out is not chosen here. */
export const fineTuneRecipeTable = {
  ...mapped(plainRows, (row) => optional(row.wrapped ?? (row as OptionSchema))),
  ...ownRows,
  method: optional(section),
};
