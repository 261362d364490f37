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
} as const;

const read = (config: object) => modelFromPretrainedConfig(config);

/** Counts as their publishers and model hubs give them. */
test.each<[keyof typeof published, number, number]>([['qwen2', 494_032_768, 32768]])(
  '%s has %d parameters and reads %d tokens',
  (type, numParameters, maxSequenceLength) => {
    expect(read(published[type])).toMatchObject({ numParameters, maxSequenceLength });
  },
);

describe('what is not computed is refused by name', () => {
  test.each<[keyof typeof published, string, unknown]>([
    ['qwen2', 'use_sliding_window', true],
    ['qwen2', 'attention_bias', true],
    ['qwen2', 'hidden_act', 'gelu'],
    ['qwen2', 'use_mrope', true],
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
