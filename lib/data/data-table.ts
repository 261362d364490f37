import * as v from 'valibot';
import { flag, namedText, numberWithin, optional, path, type OptionTable } from '../options.js';
import type { DataOptions } from './types.js';

const expected = 'a path, or a list of paths';
const paths = v.union([path, v.array(path)], expected);

export const dataTable = {
  train: paths,
  validation: optional(paths),
  validationFraction: optional(numberWithin(0, 1), 0.05),
  tokenizer: optional(path, 'bytes'),
  textField: optional(namedText('a key'), 'text'),
  splitSpecialTokens: optional(flag, true),
  cacheDirectory: optional(path),
} satisfies OptionTable<DataOptions>;
