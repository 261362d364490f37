import type { DataOptions, RecordDataOptions } from '../../data/index.js';
import { ownValues, reading } from '../../options.js';

/**
 * Data that is given as an object, with a tokenizer where it names none. Its values are read once: getters may throw.
 * @throws ERR_COMPACT_TYPE
 */
export const withTokenizer = (given: unknown, tokenizer: string): DataOptions | RecordDataOptions =>
  ({
    tokenizer,
    ...Object.fromEntries(ownValues(given, { what: 'data', prefix: 'data.' })),
  }) as unknown as DataOptions | RecordDataOptions;

/** Whether paths are given alone. @throws ERR_COMPACT_TYPE for what cannot be looked at */
export const arePaths = (given: unknown): given is string | readonly string[] =>
  reading('data', () => typeof given === 'string' || Array.isArray(given));
