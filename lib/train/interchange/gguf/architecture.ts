import { compactError } from '../../../errors.js';
import type { GgufValue } from '../../../formats/index.js';
import type { Model } from '../../../graph/index.js';
import { headSizeOf, ropeOf, type DecoderConfig, type Resolved } from '../../../models/decoder/config.js';
import { frequenciesOf, type YarnRopeScaling } from '../../../models/decoder/rope-scaling.js';
import type { Gpt2Config } from '../../../models/gpt2/config.js';
import { shown } from '../../../options.js';

/** What a file of GGUF says of a model's architecture, and how its tensors stand there. */
export interface GgufArchitecture {
  readonly name: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Heads of queries and of keys whose rows stand pair beside pair, and the size of a head; absent: as in other files. */
  readonly pairedHeadSize?: number;
  /** The name of a tensor by that of Hugging Face's checkpoints. */
  tensorName(name: string): string;
  /** What is added to weights of norms, which a file of Hugging Face's has as differences from it. */
  readonly normOffset?: number;
  /** What slows down the pairs of a head, where that is no formula that readers know. */
  readonly ropeFactors?: readonly number[];
}

type Description = Readonly<Record<string, unknown>>;

const describers: Readonly<Record<string, (description: Description, model: Model) => GgufArchitecture>> = {
  llama: (config, model) => decoder('llama', config, model, { paired: true }),
  mistral: (config, model) => decoder('llama', config, model, { paired: true }),
  qwen2: (config, model) => decoder('qwen2', config, model),
  qwen3: (config, model) => decoder('qwen3', config, model, { refusedOptions: ['attentionBias'] }),
  phi3: (config, model) => decoder('phi3', config, model),
  gemma2: (config, model) => gemma2(config, model),
  gpt2: (config) => gpt2(config as unknown as Required<Gpt2Config>),
};

/** @throws ERR_COMPACT_CONFIG_VALUE for what llama.cpp has no name for */
export function ggufArchitecture(model: Model): GgufArchitecture {
  const { architecture, ...description } = model.describe();
  const describe = describers[architecture as string];
  if (describe === undefined)
    throw refused('architecture', `one of ${Object.keys(describers).join(', ')}`, architecture);
  return describe(description, model);
}

const refused = (op: string, expected: string, received: unknown): Error =>
  compactError('ERR_COMPACT_CONFIG_VALUE', `a model with this ${op} has no name in GGUF`, {
    op,
    expected,
    received: shown(received),
    remedy: 'Export it as safetensors',
  });

const uint = (value: number): GgufValue => ({ type: 'uint32', value });
const float = (value: number): GgufValue => ({ type: 'float32', value });
const text = (value: string): GgufValue => ({ type: 'string', value });

interface DecoderRules {
  readonly paired?: boolean;
  /** Options that readers of the architecture do not know. */
  readonly refusedOptions?: readonly string[];
}

function decoder(
  name: string,
  description: Description,
  { maxSequenceLength }: Model,
  { paired = false, refusedOptions = [] }: DecoderRules = {},
): GgufArchitecture {
  for (const option of refusedOptions) if (description[option] === true) throw refused(option, 'false', true);
  const config = description as unknown as Resolved<DecoderConfig> & { readonly slidingWindow?: number };
  const headSize = headSizeOf(config);
  const { ropeScaling: scaling, slidingWindow } = config;
  if (scaling?.type === 'dynamic' || (scaling?.type === 'llama3' && name !== 'llama'))
    throw refused('ropeScaling', `of ${name}: linear, yarn or none`, scaling.type);
  const entries: [string, GgufValue][] = [
    ['context_length', uint(maxSequenceLength)],
    ['embedding_length', uint(config.hiddenSize)],
    ['block_count', uint(config.numHiddenLayers)],
    ['feed_forward_length', uint(config.intermediateSize)],
    ['attention.head_count', uint(config.numAttentionHeads)],
    ['attention.head_count_kv', uint(config.numKeyValueHeads)],
    ['attention.key_length', uint(headSize)],
    ['attention.value_length', uint(headSize)],
    ['attention.layer_norm_rms_epsilon', float(config.rmsNormEps)],
    ...(slidingWindow === undefined
      ? []
      : [['attention.sliding_window', uint(slidingWindow)] as [string, GgufValue]]),
    ['rope.dimension_count', uint(headSize)],
    ['rope.freq_base', float(config.ropeTheta)],
    ...ropeScaling(config),
    ['vocab_size', uint(config.vocabSize)],
  ];
  const { perPair } = frequenciesOf(ropeOf(config), headSize, maxSequenceLength);
  const plain = frequenciesOf({ ...ropeOf(config), scaling: undefined }, headSize, maxSequenceLength).perPair;
  return {
    name,
    metadata: withPrefix(name, entries),
    pairedHeadSize: paired ? headSize : undefined,
    tensorName: nameIn(decoderTensors),
    ropeFactors: scaling?.type === 'llama3' ? plain.map((value, pair) => value / perPair[pair]!) : undefined,
  };
}

function ropeScaling({
  ropeScaling: scaling,
  maxPositionEmbeddings,
}: Resolved<DecoderConfig>): [string, GgufValue][] {
  if (scaling?.type === 'linear')
    return [
      ['rope.scaling.type', text('linear')],
      ['rope.scaling.factor', float(scaling.factor)],
    ];
  if (scaling?.type !== 'yarn') return [];
  checkYarn(scaling);
  return [
    ['rope.scaling.type', text('yarn')],
    ['rope.scaling.factor', float(scaling.factor)],
    [
      'rope.scaling.original_context_length',
      uint(scaling.originalMaxPositionEmbeddings ?? maxPositionEmbeddings),
    ],
  ];
}

/** Readers know the published form of it alone. */
function checkYarn(scaling: YarnRopeScaling): void {
  const published = {
    attentionFactor: 0.1 * Math.log(scaling.factor) + 1,
    betaFast: 32,
    betaSlow: 1,
    truncate: true,
    mscale: undefined,
    mscaleAllDim: undefined,
  } as const;
  for (const [option, value] of Object.entries(published)) {
    const found = scaling[option as keyof typeof published];
    if (found !== undefined && found !== value)
      throw refused(`ropeScaling.${option}`, value === undefined ? 'none' : shown(value), found);
  }
}

function gpt2({
  nPositions,
  nEmbd,
  nLayer,
  nInner,
  nHead,
  layerNormEpsilon,
}: Required<Gpt2Config>): GgufArchitecture {
  return {
    name: 'gpt2',
    metadata: withPrefix('gpt2', [
      ['context_length', uint(nPositions)],
      ['embedding_length', uint(nEmbd)],
      ['block_count', uint(nLayer)],
      ['feed_forward_length', uint(nInner)],
      ['attention.head_count', uint(nHead)],
      ['attention.layer_norm_epsilon', float(layerNormEpsilon)],
    ]),
    tensorName: nameIn(gpt2Tensors),
  };
}

const withPrefix = (
  name: string,
  entries: readonly (readonly [string, GgufValue])[],
): ReadonlyMap<string, GgufValue> => new Map(entries.map(([key, value]) => [`${name}.${key}`, value]));

/** Readers multiply scores by the inverse root of a head's size, and cap scores and logits always. */
function gemma2(description: Description, model: Model): GgufArchitecture {
  const { headDim, queryPreAttnScalar, attnLogitSoftcapping, finalLogitSoftcapping } = description;
  if (queryPreAttnScalar !== headDim) throw refused('queryPreAttnScalar', shown(headDim), queryPreAttnScalar);
  if (attnLogitSoftcapping === undefined || finalLogitSoftcapping === undefined)
    throw refused('soft cap', 'one of scores and one of logits', 'none');
  const { metadata, ...others } = decoder('gemma2', description, model);
  const caps = withPrefix('gemma2', [
    ['attn_logit_softcapping', float(attnLogitSoftcapping as number)],
    ['final_logit_softcapping', float(finalLogitSoftcapping as number)],
  ]);
  const tensorName = nameIn({ ...decoderTensors, ...postNorms });
  return { ...others, metadata: new Map([...metadata, ...caps]), normOffset: 1, tensorName };
}

/** Modules by their names in files of Hugging Face's; those of a layer behind its number. */
const decoderTensors: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.qkv_proj': 'attn_qkv',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** With norms of what a sublayer gives, the second norm before the feed-forward layer has another name. */
const postNorms: Readonly<Record<string, string>> = {
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

const gpt2Tensors: Readonly<Record<string, string>> = {
  'transformer.wte': 'token_embd',
  'transformer.wpe': 'position_embd',
  'transformer.ln_f': 'output_norm',
  lm_head: 'output',
  ln_1: 'attn_norm',
  ln_2: 'ffn_norm',
  'attn.c_attn': 'attn_qkv',
  'attn.c_proj': 'attn_output',
  'mlp.c_fc': 'ffn_up',
  'mlp.c_proj': 'ffn_down',
};

const nameIn =
  (modules: Readonly<Record<string, string>>) =>
  (name: string): string => {
    const [, layer, module, kind] =
      /^(?:(?:model\.layers|transformer\.h)\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name)!;
    return `${layer === undefined ? '' : `blk.${layer}.`}${modules[module!]!}.${kind}`;
  };
