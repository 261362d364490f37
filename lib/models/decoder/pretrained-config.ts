import type { ControlTokenIds, DType } from '../../graph/index.js';
import { checkValue, numberAbove, oneOf, ownValues, shown, type OptionSchema } from '../../options.js';
import {
  checkFields,
  checkFixed,
  descriptionOf,
  descriptiveFields,
  otherModel,
  unknownField,
  withoutNull,
  type PretrainedFields,
} from '../pretrained-fields.js';
import { defaultOf, headSizeOf, type DecoderConfig, type Resolved } from './config.js';
import { ropeScalingTables, type RopeScaling } from './rope-scaling.js';

/** What `config.json` has to say of an architecture, beside what all decoders have. */
export interface PretrainedWords<C extends DecoderConfig> {
  /** The value of `model_type`. */
  readonly modelType: string;
  /** The class of transformers that has a language model's head. */
  readonly className: string;
  /** How errors call it. */
  readonly title: string;
  readonly table: Readonly<Record<string, OptionSchema>>;
  /** Fields that are options of ours beside those that all have. */
  readonly options: Readonly<Record<string, keyof C & string>>;
  /** Fields by which models of this type may differ in what they compute, and the one value that is computed here. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** What transformers take for fields that a file leaves out, where that is not our default. */
  readonly absent?: Readonly<Record<string, unknown>>;
  /** Fields that say nothing of what is computed, beside those that all have. */
  readonly others?: readonly string[];
  /** What `layer_types` says of the layers, in turn. Default: all of them are 'full_attention'. */
  readonly layerTypes?: readonly string[];
}

/** Fields that are options of every decoder. */
const sharedOptions = {
  vocab_size: 'vocabSize',
  hidden_size: 'hiddenSize',
  intermediate_size: 'intermediateSize',
  num_hidden_layers: 'numHiddenLayers',
  num_attention_heads: 'numAttentionHeads',
  num_key_value_heads: 'numKeyValueHeads',
  head_dim: 'headDim',
  max_position_embeddings: 'maxPositionEmbeddings',
  rms_norm_eps: 'rmsNormEps',
  tie_word_embeddings: 'tieWordEmbeddings',
  initializer_range: 'initializerRange',
} as const satisfies Readonly<Record<string, keyof DecoderConfig>>;

const sharedFixed = { hidden_act: 'silu', attention_dropout: 0 } as const;

/** Rotary positions in the form of transformers 5 and in the one before it; the base stands inside, or beside as `rope_theta`. */
const ropeFields = ['rope_parameters', 'rope_scaling'] as const;

/** Fields of a scaling that are options of ours, all kinds together. */
const scalingOptions: Readonly<Record<string, string>> = {
  factor: 'factor',
  low_freq_factor: 'lowFreqFactor',
  high_freq_factor: 'highFreqFactor',
  original_max_position_embeddings: 'originalMaxPositionEmbeddings',
  attention_factor: 'attentionFactor',
  beta_fast: 'betaFast',
  beta_slow: 'betaSlow',
  mscale: 'mscale',
  mscale_all_dim: 'mscaleAllDim',
  truncate: 'truncate',
};

const knownFields = <C extends DecoderConfig>({
  options,
  others = [],
}: PretrainedWords<C>): readonly string[] => [
  ...Object.keys({ ...sharedOptions, ...options }),
  ...['rope_theta', ...ropeFields, 'layer_types', 'pretraining_tp', ...descriptiveFields, ...others],
];

/**
 * A configuration in the words of Hugging Face's `config.json`. Rotary positions stand in both forms.
 */
export function decoderToPretrained<C extends DecoderConfig>(
  words: PretrainedWords<C>,
  config: Resolved<C>,
  dtype: DType,
  tokens: ControlTokenIds,
): Record<string, unknown> {
  const { ropeTheta: rope_theta, ropeScaling } = config;
  const scaling = ropeScaling && scalingToPretrained(ropeScaling);
  const options = Object.entries({ ...sharedOptions, ...words.options });
  return {
    architectures: [words.className],
    model_type: words.modelType,
    ...Object.fromEntries(options.map(([field, key]) => [field, config[key as keyof C] ?? null])),
    head_dim: headSizeOf(config),
    rope_theta,
    rope_parameters: { rope_type: 'default', ...scaling, rope_theta },
    ...(scaling && { rope_scaling: scaling }),
    ...sharedFixed,
    ...words.fixed,
    ...descriptionOf(dtype, tokens),
  };
}

function scalingToPretrained({ type, ...values }: RopeScaling): Record<string, unknown> {
  const byOption = new Map(Object.entries(values));
  const fields = Object.entries(scalingOptions).filter(([, key]) => byOption.get(key) !== undefined);
  return { rope_type: type, ...Object.fromEntries(fields.map(([field, key]) => [field, byOption.get(key)])) };
}

/**
 * The other way round. What a file leaves out has the default that transformers give it.
 * @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY naming the field
 */
export function decoderFromPretrained<C extends DecoderConfig>(
  words: PretrainedWords<C>,
  fields: PretrainedFields,
): C {
  const absent = Object.entries(words.absent ?? {}).filter(([field]) => !fields.has(field));
  const given = withoutNull([...fields, ...absent]);
  checkFields(given, {
    title: words.title,
    known: knownFields(words),
    fixed: { ...sharedFixed, ...words.fixed },
  });
  checkLayerTypes(given.get('layer_types'), words.layerTypes ?? ['full_attention']);
  const entries = Object.entries({ ...sharedOptions, ...words.options }).map(
    ([field, key]) => [key, checkValue(given.get(field), words.table[key]!, field)] as const,
  );
  const config = { ...Object.fromEntries(entries), ...readRope(words, given) } as unknown as C;
  const { headDim, hiddenSize, numAttentionHeads } = config;
  const isDerived =
    defaultOf(words.table['headDim']!) === undefined && headDim === hiddenSize / numAttentionHeads;
  return isDerived ? { ...config, headDim: undefined } : config;
}

/** Transformers tell of every layer whether it sees all tokens before. */
function checkLayerTypes(types: unknown, inTurn: readonly string[]): void {
  const isComputed = (type: unknown, layer: number): boolean => type === inTurn[layer % inTurn.length];
  if (types === undefined || (Array.isArray(types) && types.every(isComputed))) return;
  const expected = inTurn.map((type) => `'${type}'`).join(' and ');
  throw otherModel(
    'layer_types',
    `${expected} for ${inTurn.length > 1 ? 'layers in turn' : 'every layer'}`,
    shown(types),
  );
}

interface RopeOptions {
  readonly ropeTheta?: number;
  readonly ropeScaling?: RopeScaling;
}

/** The base and scaling of rotary positions; where they stand in several forms, these have to say the same. */
function readRope<C extends DecoderConfig>(words: PretrainedWords<C>, given: PretrainedFields): RopeOptions {
  let theta = given.get('rope_theta');
  const scalings: (RopeScaling | undefined)[] = [];
  for (const form of ropeFields) {
    if (!given.has(form)) continue;
    const values = ownValues(given.get(form), { what: form, prefix: `${form}.` });
    const rope = withoutNull([...values].map(([key, value]) => [String(key), value]));
    theta ??= rope.get('rope_theta');
    checkFixed(
      new Map([[`${form}.rope_theta`, rope.get('rope_theta') ?? theta]]),
      `${form}.rope_theta`,
      theta,
    );
    scalings.push(readScaling(words, form, rope));
  }
  const [ropeScaling, other = ropeScaling] = scalings;
  const [first, second] = [ropeScaling, other].map(
    (scaling) => JSON.stringify(scaling) as string | undefined,
  );
  if (first !== second) throw otherModel('rope_scaling', `what rope_parameters say, ${first}`, `${second}`);
  return {
    ...(theta !== undefined && { ropeTheta: checkValue(theta, numberAbove(0), 'rope_theta') }),
    ...(ropeScaling && { ropeScaling }),
  };
}

/** @param rope fields of one form */
function readScaling<C extends DecoderConfig>(
  words: PretrainedWords<C>,
  form: string,
  rope: ReadonlyMap<string, unknown>,
): RopeScaling | undefined {
  const kinds = ['default', ...('ropeScaling' in words.table ? Object.keys(ropeScalingTables) : [])];
  const typeField = rope.has('rope_type') ? 'rope_type' : 'type';
  const type = checkValue(rope.get(typeField) ?? 'default', oneOf(kinds), `${form}.${typeField}`);
  if (rope.has('type')) checkFixed(new Map([[`${form}.type`, rope.get('type')]]), `${form}.type`, type);
  const partial = `${form}.partial_rotary_factor`;
  checkFixed(new Map([[partial, rope.get('partial_rotary_factor') ?? 1]]), partial, 1);
  const rows: Readonly<Record<string, OptionSchema>> =
    type === 'default' ? {} : ropeScalingTables[type as RopeScaling['type']];
  const fields = Object.entries(scalingOptions).filter(([, key]) => Object.hasOwn(rows, key));
  const expected = [
    'rope_type',
    'type',
    'rope_theta',
    'partial_rotary_factor',
    ...fields.map(([field]) => field),
  ];
  const unknown = [...rope.keys()].find((field) => !expected.includes(field));
  if (unknown !== undefined) throw unknownField(words.title, knownFields(words), `${form}.${unknown}`);
  if (type === 'default') return undefined;
  const values = fields.map(
    ([field, key]) => [key, checkValue(rope.get(field), rows[key]!, `${form}.${field}`)] as const,
  );
  const present = values.filter(([, value]) => value !== undefined);
  return { type, ...Object.fromEntries(present) } as unknown as RopeScaling;
}
