/*
 * Fields of Hugging Face's `config.json`, of whatever architecture: which are known, and what is refused. A field that is
 * null counts as left out; one that is not known has to be off (null or false), or to begin with `_`, as what is private
 * to transformers does: anything else may change what a model computes.
 */
import { compactError, nearestName } from '../errors.js';
import type { ControlTokenIds, DType } from '../graph/index.js';
import { shown } from '../options.js';

export type PretrainedFields = ReadonlyMap<PropertyKey, unknown>;

/** What a configuration may hold. */
export interface FieldRules {
  /** How errors call the architecture. */
  readonly title: string;
  /** Fields that are options of ours, or say nothing of what is computed. */
  readonly known: readonly string[];
  /** Fields by which models may differ in what they compute, and the one value that is computed here. */
  readonly fixed: Readonly<Record<string, unknown>>;
}

/** Fields that say nothing of what is computed, in every architecture. */
export const descriptiveFields: readonly string[] = [
  ...['architectures', 'model_type', 'transformers_version', 'dtype', 'torch_dtype', 'tokenizer_class'],
  ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'id2label', 'label2id', 'use_cache', 'problem_type'],
  ...['output_attentions', 'output_hidden_states', 'return_dict', 'return_dict_in_generate'],
  ...['auto_map', 'chunk_size_feed_forward', 'unsloth_version', 'unsloth_fixed'],
];

export const withoutNull = <K>(fields: Iterable<readonly [K, unknown]>): ReadonlyMap<K, unknown> =>
  new Map([...fields].filter(([, value]) => value !== null));

/** @throws ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE naming the field */
export function checkFields(given: PretrainedFields, { title, known, fixed }: FieldRules): void {
  const names = [...known, ...Object.keys(fixed)];
  for (const [field, value] of given)
    if (value !== false && !names.includes(String(field)) && !String(field).startsWith('_'))
      throw unknownField(title, names, String(field));
  for (const [field, value] of Object.entries(fixed)) checkFixed(given, field, value);
}

/**
 * Where a field is given, it has to have the value.
 * @throws ERR_COMPACT_CONFIG_VALUE
 */
export function checkFixed(given: PretrainedFields, field: string, value: unknown): void {
  if (!given.has(field) || given.get(field) === value) return;
  throw otherModel(field, shown(value), shown(given.get(field)));
}

export const otherModel = (field: string, expected: string, received: string): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `models with another ${field} cannot be computed`, {
    op: field,
    expected,
    received,
  });

export function unknownField(title: string, known: readonly string[], field: string): Error {
  const nearest = nearestName(field, known);
  return compactError(
    'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
    `the field ${shown(field)} may change what a model computes`,
    {
      op: field,
      expected: `fields of a ${title} configuration that are known here`,
      received: shown(field),
      remedy: nearest ? `Did you mean '${nearest}'?` : 'Take it out of the file if it changes nothing',
    },
  );
}

const dtypeNames: Readonly<Record<string, string>> = { f32: 'float32', bf16: 'bfloat16' };

/** What every file tells: ids of control tokens, also where there are none, for readers have defaults; and the dtype in both forms. */
export const descriptionOf = (dtype: DType, { bos, eos, pad }: ControlTokenIds): Record<string, unknown> => ({
  bos_token_id: bos ?? null,
  eos_token_id: eos ?? null,
  pad_token_id: pad ?? null,
  dtype: dtypeNames[dtype],
  torch_dtype: dtypeNames[dtype],
});
