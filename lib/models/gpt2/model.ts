import type { ControlTokenIds, DType, Model } from '../../graph/index.js';
import { checkValue } from '../../options.js';
import type { Architecture } from '../architecture.js';
import { causalFields } from '../heads/causal.js';
import {
  checkFields,
  descriptionOf,
  descriptiveFields,
  withoutNull,
  type PretrainedFields,
} from '../pretrained-fields.js';
import { buildGpt2, gpt2Places, gpt2Tokens, positionIdsName } from './build.js';
import { countParameters, gpt2Table, resolveGpt2Config, type Gpt2Config } from './config.js';
import { gpt2Weights } from './weights.js';

/** Fields of `config.json` that are options of ours. */
const options = {
  vocab_size: 'vocabSize',
  n_positions: 'nPositions',
  n_embd: 'nEmbd',
  n_layer: 'nLayer',
  n_head: 'nHead',
  n_inner: 'nInner',
  layer_norm_epsilon: 'layerNormEpsilon',
  tie_word_embeddings: 'tieWordEmbeddings',
  initializer_range: 'initializerRange',
} as const satisfies Readonly<Record<string, keyof Gpt2Config>>;

/** Fields by which models of this type may differ in what they compute, and what is computed here. */
const fixed = {
  activation_function: 'gelu_new',
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  add_cross_attention: false,
} as const;

/**
 * Fields that say nothing of what the network computes. Dropout (`*_pdrop`) is how the published models were trained; no
 * dropout is applied here.
 */
const others = [
  ...['n_ctx', 'task_specific_params', 'reorder_and_upcast_attn', 'attn_pdrop', 'embd_pdrop', 'resid_pdrop'],
  ...['summary_activation', 'summary_first_dropout', 'summary_proj_to_labels', 'summary_type'],
  'summary_use_proj',
];

function toPretrained(config: Required<Gpt2Config>, dtype: DType, tokens: ControlTokenIds) {
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    ...Object.fromEntries(Object.entries(options).map(([field, key]) => [field, config[key]])),
    ...fixed,
    ...{ attn_pdrop: 0, embd_pdrop: 0, resid_pdrop: 0 },
    ...descriptionOf(dtype, tokens),
  };
}

/** @throws ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_CONFIG_UNKNOWN_KEY naming the field */
function fromPretrained(fields: PretrainedFields): object {
  const given = withoutNull(fields);
  const known = [...Object.keys(options), ...descriptiveFields, ...others];
  checkFields(given, { title: 'GPT-2', known, fixed });
  const entries = Object.entries(options).map(
    ([field, key]) => [key, checkValue<unknown>(given.get(field), gpt2Table[key], field)] as const,
  );
  return Object.fromEntries(entries);
}

function modelOf(config: Required<Gpt2Config>): Model {
  return {
    name: 'gpt2',
    vocabularySize: config.vocabSize,
    maxSequenceLength: config.nPositions,
    numParameters: countParameters(config),
    batchFields: [gpt2Tokens(config), ...causalFields(config.vocabSize)],
    packedFields: gpt2Places(config),
    isCausal: true,
    weights: gpt2Weights(config),
    bodyPrefix: 'transformer.',
    build: (graph, buildOptions) => buildGpt2(graph, config, buildOptions),
    constants: (sequenceLength) => ({
      [positionIdsName]: Int32Array.from({ length: sequenceLength }, (_, position) => position),
    }),
    describe: () => ({ architecture: 'gpt2', ...config }),
    pretrainedConfig: (dtype, tokens = {}) => toPretrained(config, dtype, tokens),
  };
}

export const gpt2Architecture: Architecture = {
  presets: [],
  create: (model, overrides = {}) => modelOf(resolveGpt2Config(model as object, overrides)),
  readPretrained: fromPretrained,
};
