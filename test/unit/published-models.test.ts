/** Published config.json files: what is read of them, and what is refused by name. */
import { describe, expect, test } from '@jest/globals';
import { Graph } from '../../lib/graph/index.js';
import { modelFromPretrainedConfig } from '../../lib/models/index.js';

const shared = {
  attention_dropout: 0.0,
  hidden_act: 'silu',
  initializer_range: 0.02,
  torch_dtype: 'bfloat16',
  use_cache: true,
};

/** As published, but for fields of which the other tests are. */
const published = {
  // Qwen2.5 0.5B
  qwen2: {
    ...shared,
    architectures: ['Qwen2ForCausalLM'],
    bos_token_id: 151643,
    eos_token_id: 151643,
    hidden_size: 896,
    intermediate_size: 4864,
    max_position_embeddings: 32768,
    max_window_layers: 24,
    model_type: 'qwen2',
    num_attention_heads: 14,
    num_hidden_layers: 24,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1000000.0,
    sliding_window: 32768,
    tie_word_embeddings: true,
    transformers_version: '4.40.1',
    use_mrope: false,
    use_sliding_window: false,
    vocab_size: 151936,
  },
  // Mistral 7B, the first version
  mistral: {
    ...shared,
    architectures: ['MistralForCausalLM'],
    bos_token_id: 1,
    eos_token_id: 2,
    hidden_size: 4096,
    intermediate_size: 14336,
    max_position_embeddings: 32768,
    model_type: 'mistral',
    num_attention_heads: 32,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_theta: 10000.0,
    sliding_window: 4096,
    tie_word_embeddings: false,
    transformers_version: '4.34.0.dev0',
    vocab_size: 32000,
  },
  // Qwen3 0.6B
  qwen3: {
    ...shared,
    architectures: ['Qwen3ForCausalLM'],
    attention_bias: false,
    bos_token_id: 151643,
    eos_token_id: 151645,
    head_dim: 128,
    hidden_size: 1024,
    intermediate_size: 3072,
    max_position_embeddings: 40960,
    max_window_layers: 28,
    model_type: 'qwen3',
    num_attention_heads: 16,
    num_hidden_layers: 28,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 1000000,
    sliding_window: null,
    tie_word_embeddings: true,
    transformers_version: '4.51.0',
    use_sliding_window: false,
    vocab_size: 151936,
  },
  // Phi-3 mini, 4K
  phi3: {
    ...shared,
    architectures: ['Phi3ForCausalLM'],
    attention_bias: false,
    auto_map: { AutoConfig: 'configuration_phi3.Phi3Config' },
    bos_token_id: 1,
    embd_pdrop: 0.0,
    eos_token_id: 32000,
    hidden_size: 3072,
    intermediate_size: 8192,
    max_position_embeddings: 4096,
    model_type: 'phi3',
    num_attention_heads: 32,
    num_hidden_layers: 32,
    num_key_value_heads: 32,
    original_max_position_embeddings: 4096,
    pad_token_id: 32000,
    resid_pdrop: 0.0,
    rms_norm_eps: 1e-5,
    rope_scaling: null,
    rope_theta: 10000.0,
    sliding_window: 2047,
    tie_word_embeddings: false,
    vocab_size: 32064,
  },
  // Gemma 2 2B
  gemma2: {
    architectures: ['Gemma2ForCausalLM'],
    attention_bias: false,
    attention_dropout: 0.0,
    attn_logit_softcapping: 50.0,
    bos_token_id: 2,
    cache_implementation: 'hybrid',
    eos_token_id: 1,
    final_logit_softcapping: 30.0,
    head_dim: 256,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
    hidden_size: 2304,
    initializer_range: 0.02,
    intermediate_size: 9216,
    max_position_embeddings: 8192,
    model_type: 'gemma2',
    num_attention_heads: 8,
    num_hidden_layers: 26,
    num_key_value_heads: 4,
    pad_token_id: 0,
    query_pre_attn_scalar: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 10000.0,
    sliding_window: 4096,
    torch_dtype: 'float32',
    transformers_version: '4.42.4',
    use_cache: true,
    vocab_size: 256000,
  },
  // GPT-2, the small one
  gpt2: {
    activation_function: 'gelu_new',
    architectures: ['GPT2LMHeadModel'],
    attn_pdrop: 0.1,
    bos_token_id: 50256,
    embd_pdrop: 0.1,
    eos_token_id: 50256,
    initializer_range: 0.02,
    layer_norm_epsilon: 1e-5,
    model_type: 'gpt2',
    n_ctx: 1024,
    n_embd: 768,
    n_head: 12,
    n_layer: 12,
    n_positions: 1024,
    resid_pdrop: 0.1,
    summary_activation: null,
    summary_first_dropout: 0.1,
    summary_proj_to_labels: true,
    summary_type: 'cls_index',
    summary_use_proj: true,
    task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
    vocab_size: 50257,
  },
} as const;

const read = (config: object) => modelFromPretrainedConfig(config);

/** Counts as their publishers and model hubs give them. */
test.each<[keyof typeof published, number, number]>([
  ['qwen2', 494_032_768, 32768],
  ['mistral', 7_241_732_096, 32768],
  ['qwen3', 596_049_920, 40960],
  ['phi3', 3_821_079_552, 4096],
  ['gemma2', 2_614_341_888, 8192],
  ['gpt2', 124_439_808, 1024],
])('%s has %d parameters and reads %d tokens', (type, numParameters, maxSequenceLength) => {
  expect(read(published[type])).toMatchObject({ numParameters, maxSequenceLength });
});

describe('what is not computed is refused by name', () => {
  test.each<[keyof typeof published, string, unknown]>([
    ['qwen2', 'use_sliding_window', true],
    ['qwen2', 'attention_bias', true],
    ['qwen2', 'hidden_act', 'gelu'],
    ['qwen2', 'use_mrope', true],
    ['mistral', 'sliding_window', 0],
    ['qwen3', 'use_sliding_window', true],
    ['qwen3', 'mlp_bias', true],
    ['phi3', 'partial_rotary_factor', 0.75],
    ['phi3', 'resid_pdrop', 0.1],
    ['gemma2', 'hidden_activation', 'gelu'],
    ['gemma2', 'attention_bias', true],
    ['gemma2', 'attn_logit_softcapping', 0],
    ['gemma2', 'layer_types', ['full_attention', 'full_attention']],
    ['gemma2', 'use_bidirectional_attention', true],
    ['gpt2', 'activation_function', 'relu'],
    ['gpt2', 'scale_attn_by_inverse_layer_idx', true],
    ['gpt2', 'add_cross_attention', true],
    ['gpt2', 'n_head', 0],
    ['gpt2', 'rope_theta', 10000],
    ['mistral', 'attention_bias', true],
  ])('%s: %s', (type, field, value) => {
    const code = expect.stringMatching(/^ERR_COMPACT_CONFIG_(VALUE|UNKNOWN_KEY)$/);
    expect(() => read({ ...published[type], [field]: value })).toThrow(
      expect.objectContaining({ code, op: field }),
    );
  });
});

test('biases of queries, keys and values start at zero and are added', () => {
  const graph = new Graph();
  read({ ...published.qwen2, num_hidden_layers: 1 }).build(graph, {
    batchSize: 1,
    sequenceLength: 4,
    dtype: 'bf16',
    purpose: 'train',
  });
  const biases = graph.parameters.filter(({ parameter }) => parameter!.role === 'bias');
  expect(biases.map(({ name, shape }) => [name.split('.').slice(-2).join('.'), shape])).toEqual([
    ['q_proj.bias', [896]],
    ['k_proj.bias', [128]],
    ['v_proj.bias', [128]],
  ]);
  expect(biases.map(({ parameter }) => parameter!.initializer)).toEqual(
    biases.map(() => ({ type: 'constant', value: 0 })),
  );
});

test('sequences are as long as the positions, and layers have the windows that the file gives them', () => {
  const lengths = {
    ...published.mistral,
    num_hidden_layers: 1,
    max_position_embeddings: 16,
    sliding_window: 8,
  };
  const graphOf = (config: object, sequenceLength: number, isPacked = false) => {
    const graph = new Graph();
    const options = { batchSize: 1, sequenceLength, dtype: 'bf16', purpose: 'train', isPacked } as const;
    read(config).build(graph, options);
    return graph;
  };
  const inputs = (isPacked: boolean) =>
    graphOf(lengths, 9, isPacked)
      .values.filter(({ kind, persistent }) => kind === 'input' && !persistent)
      .map(({ name }) => name);
  expect(inputs(false)).toEqual(['tokens', 'targets']);
  expect(inputs(true)).toEqual(['tokens', 'positions', 'firstKeys', 'targets']);
  const windows = (config: object) =>
    graphOf(config, 9)
      .nodes.filter(({ op }) => op === 'attention')
      .map(({ attributes }) => attributes['window']);
  expect(windows({ ...lengths, num_hidden_layers: 2 })).toEqual([8, 8]);
  expect(windows({ ...published.gemma2, num_hidden_layers: 3 })).toEqual([4096, 0, 4096]);
  expect(windows({ ...lengths, sliding_window: null })).toEqual([0]);
  expect(() => graphOf(lengths, 17)).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      op: 'sequenceLength',
      expected: 'at most 16',
    }),
  );
  expect(read(lengths).maxSequenceLength).toBe(16);
  // What transformers take where nothing is said.
  const { sliding_window: _, ...without } = lengths;
  expect(windows(without)).toEqual([4096]);
});

test.each(['longrope', 'linear'])(
  'Phi-3 with positions scaled by %s is refused by the name of the type',
  (type) => {
    const rope_scaling = { type, factor: 32, long_factor: [1], short_factor: [1] };
    expect(() => read({ ...published.phi3, rope_scaling })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'rope_scaling.type' }),
    );
  },
);

test.each([
  ['gpt2', 'n_heads', 'n_head'],
  ['qwen2', 'hidden_sizes', 'hidden_size'],
] as const)('%s tells the name that is nearest to %s', (name, field, nearest) => {
  expect(() => read({ ...published[name], [field]: 4 })).toThrow(
    expect.objectContaining({ op: field, remedy: `Did you mean '${nearest}'?` }),
  );
});

test('GPT-2 refuses heads that do not divide its width and sequences beyond its positions', () => {
  expect(() => read({ ...published.gpt2, n_head: 7 })).toThrow(expect.objectContaining({ op: 'nHead' }));
  const small = read({ ...published.gpt2, n_layer: 1, n_positions: 8 });
  const build = (sequenceLength: number) =>
    small.build(new Graph(), { batchSize: 1, sequenceLength, dtype: 'bf16', purpose: 'train' });
  expect(() => build(8)).not.toThrow();
  expect(() => build(9)).toThrow(expect.objectContaining({ op: 'sequenceLength' }));
});
