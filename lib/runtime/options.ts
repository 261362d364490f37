import type * as v from 'valibot';
import {
  abortSignal,
  byteCount,
  flag,
  namedText,
  oneOf,
  optional,
  section,
  wholeNumber,
  type OptionTable,
} from '../options.js';
import {
  blasChoices,
  graphChoices,
  hostDTypes,
  type EngineOptions,
  type RowsLayout,
  type RunOptions,
} from './types.js';

export const maxThreads = 1024;
export const threadCount = wholeNumber(1, maxThreads);
export const deviceWord = namedText("'auto', 'cpu', 'cuda' or 'cuda:N'");

/** Where and how a plan runs; also options of a trainer and of a sampler. */
export const engineTable = {
  device: optional(deviceWord, 'auto'),
  threads: optional(threadCount),
  instructionSet: optional(namedText('the name of an instruction set'), 'auto'),
  blas: optional(oneOf(blasChoices), 'own'),
  graphs: optional(oneOf(graphChoices), 'auto'),
  memoryLimitBytes: optional(byteCount),
} satisfies OptionTable<EngineOptions>;

export const targetTable = { threads: optional(threadCount) };

/** Scalars and inputs are checked against the entry. */
export const runTable = {
  scalars: optional(section, {}),
  inputs: optional(section, {}),
  signal: optional(abortSignal),
  checkFinite: optional(flag, false),
  profile: optional(flag, false),
} satisfies Record<keyof RunOptions, v.GenericSchema>;

export const rangeTable = { byteOffset: wholeNumber(0), byteLength: wholeNumber(0) };

/** Where they lie is checked against the value. */
export const rowsTable = {
  dtype: oneOf(hostDTypes),
  stride: wholeNumber(1),
  firstColumn: optional(wholeNumber(0), 0),
  columns: optional(wholeNumber(1)),
  firstRow: optional(wholeNumber(0), 0),
  isTransposed: optional(flag, false),
} satisfies OptionTable<RowsLayout>;
