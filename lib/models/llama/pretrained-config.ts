import { compactError, nearestName } from '../../errors.js';
import type { ControlTokenIds, DType } from '../../graph/index.js';
import { checkValue, numberAbove, section, shown } from '../../options.js';
import { llamaTable, type LlamaConfig } from './config.js';

/** Fields of `config.json` that are options of ours. */
const options = {
  vocab_size: 'vocabSize',
  hidden_size: 'hiddenSize',
  intermediate_size: 'intermediateSize',
  num_hidden_layers: 'numHiddenLayers',
  num_attention_heads: 'numAttentionHeads',
  num_key_value_heads: 'numKeyValueHeads',
  max_position_embeddings: 'maxPositionEmbeddings',
  rms_norm_eps: 'rmsNormEps',
  tie_word_embeddings: 'tieWordEmbeddings',
  initializer_range: 'initializerRange',
} as const satisfies Readonly<Record<string, keyof LlamaConfig>>;

/** Fields by which models of this type may differ in what they compute, and the one value that is computed here. */
const fixed = { hidden_act: 'silu', attention_bias: false, mlp_bias: false, attention_dropout: 0 } as const;

/** Rotary positions in the form of transformers 5 and in the one before it; the base stands inside, or beside as `rope_theta`. */
const ropeFields = ['rope_parameters', 'rope_scaling'] as const;

/** Fields that say nothing of what is computed. */
const others = [
  ...['architectures', 'model_type', 'transformers_version', 'dtype', 'torch_dtype', 'tokenizer_class'],
  ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'id2label', 'label2id', 'use_cache', 'pretraining_tp'],
  ...['output_attentions', 'output_hidden_states', 'return_dict', 'return_dict_in_generate'],
] as const;

const known: readonly string[] = [
  ...Object.keys(options),
  ...Object.keys(fixed),
  ...['head_dim', 'rope_theta', ...ropeFields, ...others],
];

/**
 * A configuration in the words of Hugging Face's `config.json`. Ids of control tokens are always told: where they are
 * absent, readers take those of LLaMA. The rotary base stands in both forms.
 */
export const llamaToPretrained = (
  config: Required<LlamaConfig>,
  dtype: DType,
  { bos, eos, pad }: ControlTokenIds = {},
): Record<string, unknown> => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...Object.fromEntries(Object.entries(options).map(([field, key]) => [field, config[key]])),
  head_dim: config.hiddenSize / config.numAttentionHeads,
  rope_theta: config.ropeTheta,
  rope_parameters: { rope_type: 'default', rope_theta: config.ropeTheta },
  ...fixed,
  bos_token_id: bos ?? null,
  eos_token_id: eos ?? null,
  pad_token_id: pad ?? null,
  dtype: pretrainedDType[dtype],
  torch_dtype: pretrainedDType[dtype],
});

const pretrainedDType: Readonly<Record<string, string>> = { f32: 'float32', bf16: 'bfloat16' };

/**
 * The other way round. What a file leaves out has the default that transformers give it, which is ours. A field that is
 * null counts as left out; one that is not known has to be off (null or false), or to begin with `_`, as what is private
 * to transformers does: anything else may change what is computed.
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY naming the field
 */
export function llamaFromPretrained(fields: ReadonlyMap<PropertyKey, unknown>): LlamaConfig {
  const given = withoutNull(fields);
  for (const [field, value] of given) {
    if (value !== false && !known.includes(String(field)) && !String(field).startsWith('_'))
      throw unknownField(String(field));
  }
  for (const [field, value] of Object.entries(fixed)) checkFixed(given, field, value);
  const entries = Object.entries(options).map(
    ([field, key]) => [key, checkValue<unknown>(given.get(field), llamaTable[key], field)] as const,
  );
  const config = { ...Object.fromEntries(entries), ropeTheta: ropeThetaOf(given) } as LlamaConfig;
  checkFixed(given, 'head_dim', config.hiddenSize / config.numAttentionHeads);
  return config;
}

function ropeThetaOf(given: ReadonlyMap<PropertyKey, unknown>): number | undefined {
  let theta = given.get('rope_theta');
  for (const form of ropeFields) {
    if (!given.has(form)) continue;
    const parts = Object.entries(checkValue(given.get(form), section, form));
    const rope = withoutNull(parts.map(([key, value]) => [`${form}.${key}`, value]));
    const inside = `${form}.rope_theta`;
    const rules = {
      [`${form}.rope_type`]: 'default',
      [`${form}.type`]: 'default',
      [`${form}.partial_rotary_factor`]: 1,
    };
    for (const [field, value] of Object.entries(rules)) checkFixed(rope, field, value);
    const unknown = [...rope.keys()].find((field) => field !== inside && !Object.hasOwn(rules, field));
    if (unknown !== undefined) throw unknownField(unknown);
    theta ??= rope.get(inside);
    checkFixed(rope, inside, theta);
  }
  return theta === undefined ? undefined : checkValue(theta, numberAbove(0), 'rope_theta');
}

const withoutNull = <K>(fields: Iterable<readonly [K, unknown]>): ReadonlyMap<K, unknown> =>
  new Map([...fields].filter(([, value]) => value !== null));

/** Where a field is given, it has to have the value. */
function checkFixed(given: ReadonlyMap<PropertyKey, unknown>, field: string, value: unknown): void {
  if (!given.has(field) || given.get(field) === value) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `models with another ${field} cannot be computed`, {
    op: field,
    expected: shown(value),
    received: shown(given.get(field)),
  });
}

function unknownField(field: string): Error {
  const nearest = nearestName(field, known);
  return compactError(
    'ERR_COMPACT_CONFIG_UNKNOWN_KEY',
    `the field ${shown(field)} may change what a model computes`,
    {
      op: field,
      expected: 'fields of a LLaMA configuration that are known here',
      received: shown(field),
      remedy: nearest ? `Did you mean '${nearest}'?` : 'Take it out of the file if it changes nothing',
    },
  );
}
