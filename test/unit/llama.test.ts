import { describe, expect, test } from '@jest/globals';
import { type BuildOptions, Graph, numElements, type Value } from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import {
  llama,
  type LlamaConfig,
  llamaPresets,
  modelFromDescription,
  modelFromPretrainedConfig,
} from '../../lib/models/index.js';
import { TwinTrainer } from '../helpers/twin-trainer.js';

const tiny: LlamaConfig = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
};

function build(config: LlamaConfig, options: Partial<BuildOptions> = {}): { graph: Graph; result: Value } {
  const graph = new Graph();
  const defaults = { batchSize: 2, sequenceLength: 4, dtype: 'f32', purpose: 'train' } as const;
  const result = llama(config).build(graph, { ...defaults, ...options });
  return { graph, result };
}

const ops = (graph: Graph) => graph.nodes.map(({ op }) => op);

describe('presets', () => {
  // Published counts in millions, and 3B to 65B by the same formula: 2 v h + L (4 h^2 + 3 h f + 2 h) + h.
  test.each([
    ['llama-60m', 58.07],
    ['llama-130m', 134.11],
    ['llama-350m', 367.97],
    ['llama-1b', 1339.08],
    ['llama-7b', 6738.42],
    ['llama-3-8b', 8030.26],
    ['llama-13b', 13015.86],
  ])('%s has %d million parameters', (name, millions) => {
    expect(Math.abs(llama(name).numParameters / 1e6 - millions)).toBeLessThan(0.005);
  });

  test('the counted parameters are those that are built', () => {
    for (const name of ['llama-demo', 'llama-9m', 'llama-60m', 'llama-1b']) {
      const model = llama(name);
      const graph = new Graph();
      model.build(graph, { batchSize: 1, sequenceLength: 8, dtype: 'bf16', purpose: 'train' });
      const built = graph.parameters.reduce((sum, { shape }) => sum + numElements(shape), 0);
      expect([name, built]).toEqual([name, model.numParameters]);
    }
    for (const config of [tiny, { ...tiny, tieWordEmbeddings: true }]) {
      const built = build(config).graph.parameters.reduce((sum, { shape }) => sum + numElements(shape), 0);
      expect(built).toBe(llama(config).numParameters);
    }
  });

  test('all names are there, small ones first', () => {
    const sizes = Object.keys(llamaPresets).map((name) => llama(name).numParameters);
    expect(Object.keys(llamaPresets)).toHaveLength(14);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes[0]).toBeGreaterThan(1e6);
    expect(sizes[0]).toBeLessThan(3e6);
  });

  test('an unknown one names the nearest', () => {
    expect(() => llama('llama-60')).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_MODEL_UNKNOWN', remedy: "Did you mean 'llama-60m'?" }),
    );
    expect(() => llama('toString')).toThrow(expect.objectContaining({ code: 'ERR_COMPACT_MODEL_UNKNOWN' }));
  });

  test('single values can be replaced', () => {
    expect(llama('llama-60m', { vocabSize: 257 }).vocabularySize).toBe(257);
  });
});

describe('configuration', () => {
  test.each<[string, object, string, string]>([
    ['an unknown key', { hiddenSizes: 8 }, 'ERR_COMPACT_CONFIG_UNKNOWN_KEY', "Did you mean 'hiddenSize'?"],
    ['no layers', { numHiddenLayers: 0 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['half a layer', { numHiddenLayers: 1.5 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['heads that do not divide the width', { numAttentionHeads: 3 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['heads of odd size', { numAttentionHeads: 8 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['key heads that do not divide the heads', { numKeyValueHeads: 3 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['a negative epsilon', { rmsNormEps: -1 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['heads of an odd size of their own', { headDim: 3 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['a scaling of no kind', { ropeScaling: { factor: 2 } }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    ['a scaling without a factor', { ropeScaling: { type: 'linear' } }, 'ERR_COMPACT_CONFIG_VALUE', ''],
    [
      'a passage between waves that is none',
      { ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 4, highFreqFactor: 4 } },
      'ERR_COMPACT_CONFIG_VALUE',
      '',
    ],
    ['a switch that is no boolean', { tieWordEmbeddings: 1 }, 'ERR_COMPACT_CONFIG_VALUE', ''],
  ])('%s is refused', (_what, change, code, remedy) => {
    const expected: object = remedy === '' ? { code } : { code, remedy };
    expect(() => llama({ ...tiny, ...change })).toThrow(expect.objectContaining(expected));
  });

  test('a sequence beyond the longest is refused', () => {
    expect(() => build({ ...tiny, maxPositionEmbeddings: 3 })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'sequenceLength' }),
    );
  });

  test('a dynamic scaling lets sequences be longer', () => {
    const config = {
      ...tiny,
      maxPositionEmbeddings: 4,
      ropeScaling: { type: 'dynamic', factor: 1.5 },
    } as const;
    expect(llama(config).maxSequenceLength).toBe(6);
    expect(() => build(config, { sequenceLength: 6 })).not.toThrow();
    expect(() => build(config, { sequenceLength: 7 })).toThrow(
      expect.objectContaining({ op: 'sequenceLength' }),
    );
  });

  test('descriptions of models without newer options do not have them', () => {
    const { architecture: _, ...described } = llama({ ...tiny, attentionBias: false }).describe();
    expect(Object.keys(described).sort()).toEqual(
      [...Object.keys(tiny), 'maxPositionEmbeddings', 'rmsNormEps', 'ropeTheta', 'tieWordEmbeddings']
        .concat('initializerRange')
        .sort(),
    );
  });

  test('a description gives the same model', () => {
    const description = JSON.parse(JSON.stringify(llama(tiny).describe())) as Record<string, unknown>;
    expect(modelFromDescription(description).describe()).toEqual(llama(tiny).describe());
    expect(() => modelFromDescription({ architecture: 'gpt' })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_MODEL_UNKNOWN' }),
    );
    expect(() => modelFromDescription({ architecture: 'lama' })).toThrow(
      expect.objectContaining({ op: 'architecture', remedy: "Did you mean 'llama'?" }),
    );
  });
});

describe('config.json', () => {
  test('holds the keys of LlamaConfig in transformers, and derives what they derive', () => {
    expect(llama({ ...tiny, numKeyValueHeads: 1 }).pretrainedConfig('bf16')).toMatchObject({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      vocab_size: tiny.vocabSize,
      hidden_size: tiny.hiddenSize,
      intermediate_size: tiny.intermediateSize,
      num_hidden_layers: tiny.numHiddenLayers,
      num_attention_heads: tiny.numAttentionHeads,
      num_key_value_heads: 1,
      head_dim: tiny.hiddenSize / tiny.numAttentionHeads,
      torch_dtype: 'bfloat16',
    });
    expect(llama('llama-7b').pretrainedConfig('f32')).toMatchObject({
      hidden_size: 4096,
      num_key_value_heads: 32,
      head_dim: 128,
      torch_dtype: 'float32',
    });
  });

  test('tells the rotary base in both forms, and every control token or that there is none', () => {
    expect(llama({ ...tiny, ropeTheta: 5000 }).pretrainedConfig('f32', { bos: 1, eos: 2 })).toMatchObject({
      rope_theta: 5000,
      rope_parameters: { rope_type: 'default', rope_theta: 5000 },
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: null,
    });
    expect(llama(tiny).pretrainedConfig('f32')).toMatchObject({ bos_token_id: null, eos_token_id: null });
  });

  // As published with Llama 3 8B, and one as transformers 4.28 wrote them.
  const llama3 = {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0.0,
    bos_token_id: 128000,
    eos_token_id: 128001,
    hidden_act: 'silu',
    hidden_size: 4096,
    initializer_range: 0.02,
    intermediate_size: 14336,
    max_position_embeddings: 8192,
    model_type: 'llama',
    num_attention_heads: 32,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    pretraining_tp: 1,
    rms_norm_eps: 1e-5,
    rope_scaling: null,
    rope_theta: 500000.0,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
    transformers_version: '4.40.0.dev0',
    use_cache: true,
    vocab_size: 128256,
  };
  const old = {
    _name_or_path: 'somewhere/llama-7b',
    architectures: ['LlamaForCausalLM'],
    bos_token_id: 1,
    eos_token_id: 2,
    hidden_act: 'silu',
    hidden_size: 4096,
    initializer_range: 0.02,
    intermediate_size: 11008,
    max_position_embeddings: 2048,
    model_type: 'llama',
    num_attention_heads: 32,
    num_hidden_layers: 32,
    pad_token_id: 0,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    torch_dtype: 'float16',
    transformers_version: '4.28.1',
    use_cache: true,
    vocab_size: 32000,
  };
  const llama31Scaling = {
    type: 'llama3',
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  } as const;
  const read = (config: object) => modelFromPretrainedConfig(config).describe();

  test('published ones are the presets', () => {
    expect(read(llama3)).toEqual(llama('llama-3-8b').describe());
    expect(read(old)).toEqual(llama('llama-7b').describe());
  });

  test.each([
    ['grouped-query, untied', tiny],
    [
      'every option',
      {
        ...tiny,
        maxPositionEmbeddings: 64,
        rmsNormEps: 1e-4,
        ropeTheta: 5000,
        tieWordEmbeddings: true,
        initializerRange: 0.5,
        headDim: 6,
        attentionBias: true,
        mlpBias: true,
        ropeScaling: { type: 'linear', factor: 2 },
      },
    ],
    ['dynamic', { ...tiny, ropeScaling: { type: 'dynamic', factor: 1.5 } }],
    ['llama3', { ...tiny, ropeScaling: llama31Scaling }],
    ['yarn', { ...tiny, ropeScaling: { type: 'yarn', factor: 4, betaFast: 16, truncate: false } }],
  ] as [string, LlamaConfig][])('what is written is read: %s', (_what, config) => {
    const written = JSON.parse(JSON.stringify(llama(config).pretrainedConfig('bf16', { eos: 3 }))) as object;
    expect(read(written)).toEqual(llama(config).describe());
  });

  test('the rotary base may stand flat or inside, and nothing has to be said of it', () => {
    const { rope_theta: _, ...without } = llama3;
    const inside = { rope_type: 'default', rope_theta: 500000 };
    expect(read({ ...without, rope_parameters: inside })).toEqual(read(llama3));
    expect(read({ ...llama3, rope_parameters: inside })).toEqual(read(llama3));
    expect(read(without)).toMatchObject({ ropeTheta: 10000 });
  });

  test('a scaling may stand in either form, or in both if they say the same', () => {
    const scaling = {
      factor: 8.0,
      low_freq_factor: 1.0,
      high_freq_factor: 4.0,
      original_max_position_embeddings: 8192,
      rope_type: 'llama3',
    };
    // As published with Llama 3.1 8B.
    const old = { ...llama3, max_position_embeddings: 131072, rope_scaling: scaling };
    expect(read(old)).toMatchObject({
      maxPositionEmbeddings: 131072,
      ropeTheta: 500000,
      ropeScaling: llama31Scaling,
    });
    const { rope_theta, rope_scaling: _, ...without } = old;
    expect(read({ ...without, rope_parameters: { ...scaling, rope_theta } })).toEqual(read(old));
    expect(read({ ...old, rope_parameters: { ...scaling, rope_theta } })).toEqual(read(old));
    const other = { ...scaling, factor: 32, rope_theta };
    expect(() => read({ ...old, rope_parameters: other })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'rope_scaling' }),
    );
  });

  test('SmolLM2 is a LLaMA', () => {
    // As published with SmolLM2 135M.
    const smol = {
      ...llama3,
      ...{ bos_token_id: 0, eos_token_id: 0, hidden_size: 576, initializer_range: 0.041666666666666664 },
      ...{ intermediate_size: 1536, is_llama_config: true, num_attention_heads: 9, num_hidden_layers: 30 },
      ...{ num_key_value_heads: 3, rope_interleaved: false, rope_theta: 100000, tie_word_embeddings: true },
      'transformers.js_config': { kv_cache_dtype: { q4f16: 'float16', fp16: 'float16' } },
      vocab_size: 49152,
    };
    expect(modelFromPretrainedConfig(smol).numParameters).toBe(134_515_008);
  });

  test.each<[string, unknown]>([
    ['hidden_act', 'gelu'],
    ['attention_dropout', 0.1],
    ['attention_bias', 'true'],
    ['head_dim', 128.5],
    ['rope_interleaved', true],
    ['layer_types', ['full_attention', 'sliding_attention']],
    ['rope_scaling.rope_type', { rope_type: 'longrope', factor: 8 }],
    ['rope_scaling.type', { type: 'ntk', factor: 8 }],
    ['rope_scaling.type', { rope_type: 'linear', type: 'dynamic', factor: 8 }],
    ['rope_scaling.factor', { type: 'linear', factor: 0.5 }],
    ['rope_scaling.low_freq_factor', { rope_type: 'llama3', factor: 8 }],
    ['rope_scaling.beta_fast', { rope_type: 'linear', factor: 8, beta_fast: 32 }],
    ['rope_scaling.short_factor', { rope_type: 'yarn', factor: 8, short_factor: [1] }],
    ['rope_parameters.partial_rotary_factor', { rope_type: 'default', partial_rotary_factor: 0.5 }],
    ['rope_parameters.factor', { rope_type: 'default', factor: 2 }],
    ['rope_parameters.rope_theta', { rope_theta: 10000 }],
    ['sliding_window', 4096],
    ['quantization_config', { bits: 4 }],
    ['vocab_size', null],
    ['hidden_size', '4096'],
    ['rms_norm_eps', 0],
    ['rope_theta', '10000'],
  ])('%s is refused by name when it is not what is computed here', (field, value) => {
    const code = expect.stringMatching(/^ERR_COMPACT_CONFIG_(VALUE|UNKNOWN_KEY)$/);
    expect(() => read({ ...llama3, [field.split('.')[0]!]: value })).toThrow(
      expect.objectContaining({ code, op: field }),
    );
  });

  test('fields that are off, private or say nothing of the mathematics are passed over', () => {
    const more = { sliding_window: null, use_sliding_window: false, _attn: 'sdpa', head_dim: 128 };
    expect(read({ ...llama3, ...more })).toEqual(read(llama3));
  });

  test('its architecture is told by model_type', () => {
    const { model_type: _, ...without } = llama3;
    expect(() => read(without)).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_CONFIG_VALUE', op: 'model_type' }),
    );
    expect(() => read({ ...llama3, model_type: 'lama' })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_MODEL_UNKNOWN', remedy: "Did you mean 'llama'?" }),
    );
  });
});

describe('graph', () => {
  test('parameters have the names of checkpoints and the layout (in_features, out_features)', () => {
    const shapes = Object.fromEntries(build(tiny).graph.parameters.map(({ name, shape }) => [name, shape]));
    expect(shapes).toMatchObject({
      'model.embed_tokens.weight': [11, 8],
      'model.layers.1.input_layernorm.weight': [8],
      'model.layers.1.self_attn.q_proj.weight': [8, 8],
      'model.layers.1.self_attn.k_proj.weight': [8, 4],
      'model.layers.1.self_attn.v_proj.weight': [8, 4],
      'model.layers.1.self_attn.o_proj.weight': [8, 8],
      'model.layers.1.post_attention_layernorm.weight': [8],
      'model.layers.1.mlp.gate_proj.weight': [8, 12],
      'model.layers.1.mlp.up_proj.weight': [8, 12],
      'model.layers.1.mlp.down_proj.weight': [12, 8],
      'model.norm.weight': [8],
      'lm_head.weight': [11, 8],
    });
    expect(Object.keys(shapes)).toHaveLength(2 * 9 + 3);
  });

  test('weights of one input name the first of them, and no two parameters have one id', () => {
    const parameters = build({ ...tiny, numHiddenLayers: 256 }).graph.parameters;
    expect(new Set(parameters.map(({ parameter }) => parameter!.tensorId)).size).toBe(256 * 9 + 3);
    const shared = parameters
      .filter(({ name, parameter }) => name.includes('.1.') && parameter!.sharesInputWith !== undefined)
      .map(({ name, parameter }) => [name, parameter!.sharesInputWith]);
    const prefix = 'model.layers.1';
    expect(shared).toEqual([
      [`${prefix}.self_attn.k_proj.weight`, `${prefix}.self_attn.q_proj.weight`],
      [`${prefix}.self_attn.v_proj.weight`, `${prefix}.self_attn.q_proj.weight`],
      [`${prefix}.mlp.up_proj.weight`, `${prefix}.mlp.gate_proj.weight`],
    ]);
  });

  test.each([false, true])('every parameter stands once in the weight map (tied head: %p)', (tied) => {
    const config = { ...tiny, tieWordEmbeddings: tied };
    const { weights } = llama(config);
    const { parameters } = build(config).graph;
    expect(weights.map(({ parameter }) => parameter).sort()).toEqual(
      parameters.map(({ name }) => name).sort(),
    );
    expect(new Set(weights.map(({ tensor }) => tensor)).size).toBe(weights.length);
    const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
    const inFile = weights.map(({ parameter, tensor, layout }) => [
      tensor,
      layout === 'transposed' ? shapes.get(parameter)!.toReversed() : shapes.get(parameter)!,
    ]);
    // (out_features, in_features), as torch.nn.Linear has it.
    expect(Object.fromEntries(inFile)).toMatchObject({
      'model.embed_tokens.weight': [11, 8],
      'model.layers.1.self_attn.k_proj.weight': [4, 8],
      'model.layers.1.mlp.gate_proj.weight': [12, 8],
      'model.layers.1.mlp.down_proj.weight': [8, 12],
      'model.norm.weight': [8],
      ...(tied ? {} : { 'lm_head.weight': [11, 8] }),
    });
    expect(weights.flatMap(({ tiedTensors = [] }) => tiedTensors)).toEqual(tied ? ['lm_head.weight'] : []);
  });

  test('inputs are the fields of a batch that the model declares', () => {
    const inputs = build(tiny).graph.values.filter(({ kind, persistent }) => kind === 'input' && !persistent);
    expect(llama(tiny).batchFields).toMatchObject([
      { name: 'tokens', dtype: 'i32', numIds: 11 },
      { name: 'targets', dtype: 'i32', numIds: 11 },
    ]);
    expect(inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(
      llama(tiny).batchFields.map(({ name, dtype }) => ({ name, dtype, shape: [8] })),
    );
  });

  test('layers are named', () => {
    const { graph } = build(tiny);
    expect([...new Set(graph.nodes.map(({ layer }) => layer))]).toEqual([
      'embedding',
      'layers.0.attention',
      'layers.0.mlp',
      'layers.1.attention',
      'layers.1.mlp',
      'head',
    ]);
    expect(graph.values.find(({ name }) => name === 'rope.cos')).toMatchObject({
      persistent: true,
      kind: 'input',
    });
  });

  test('swiglu can be two ops', () => {
    expect(ops(build(tiny).graph).filter((op) => op === 'swiglu')).toHaveLength(2);
    const split = ops(build(tiny, { fuseSwiglu: false }).graph);
    expect(split.filter((op) => op === 'silu' || op === 'multiply')).toHaveLength(4);
    expect(split).not.toContain('swiglu');
  });

  test.each([false, true])(
    'generate gives fp32 logits of new tokens (tied head: %p)',
    (tieWordEmbeddings) => {
      const options = {
        batchSize: 2,
        sequenceLength: 5,
        newTokens: 3,
        dtype: 'bf16',
        purpose: 'generate',
      } as const;
      const { graph, result } = build({ ...tiny, tieWordEmbeddings }, options);
      expect(result).toMatchObject({ shape: [6, 11], dtype: 'f32', kind: 'logits' });
      const inputs = graph.values.filter(({ kind, persistent }) => kind === 'input' && !persistent);
      expect(inputs.map(({ name, shape }) => [name, shape])).toEqual([
        ['tokens', [6]],
        ['positions', [6]],
      ]);
      const caches = graph.values.filter(({ isSession }) => isSession);
      expect(caches).toHaveLength(2 * 2); // of two layers
      for (const cache of caches) expect(cache).toMatchObject({ kind: 'keyValueCache', dtype: 'bf16' });
      expect(caches[0]!.shape[0]).toBe(2 * 5);
    },
  );
});

test('rope tables', () => {
  const constants = llama({ ...tiny, ropeTheta: 100 }).constants(3);
  // Heads of four: pair 0 turns by one radian a position, pair 1 by a tenth (100^(-1/2)).
  const angles = [0, 0, 1, 0.1, 2, 0.2];
  expect(constants['rope.cos']).toEqual(Float32Array.from(angles, Math.cos));
  expect(constants['rope.sin']).toEqual(Float32Array.from(angles, Math.sin));
});

describe('mathematics, with the float64 twins', () => {
  const shape = { batchSize: 2, sequenceLength: 4 };

  test('a model that knows nothing has the loss of a uniform guess', () => {
    const trainer = new TwinTrainer(llama(tiny), dense(), shape);
    trainer.persistent.get('lm_head.weight')!.data.fill(0);
    expect(trainer.gradients('batch').loss).toBeCloseTo(Math.log(11), 12);
  });

  test('fused and separate swiglu agree', () => {
    const [fused, split] = [true, false].map(
      (fuseSwiglu) => new TwinTrainer(llama(tiny), dense(), { ...shape, fuseSwiglu }).gradients('batch').loss,
    );
    expect(fused).toBeCloseTo(split!, 12);
  });

  test.each([
    ['grouped-query, untied', tiny],
    ['one key head per head, tied', { ...tiny, numKeyValueHeads: 2, tieWordEmbeddings: true }],
  ])('gradients of every parameter are derivatives: %s', (_title, config) => {
    const trainer = new TwinTrainer(llama(config), dense(), shape);
    const { gradients } = trainer.gradients('batch');
    expect([...gradients.keys()].sort()).toEqual(
      trainer
        .differentiated()
        .graph.parameters.map(({ name }) => name)
        .sort(),
    );
    for (const [name, gradient] of gradients) {
      const { data } = trainer.persistent.get(name)!;
      // Along one direction that involves every element; step and tolerance as for central differences of order 2.
      const step = 1e-5;
      const direction = data.map((_, element) => Math.cos(element + 1));
      const slopes = [step, -step].map((shift) => {
        const original = data.slice();
        direction.forEach((part, element) => (data[element] = original[element]! + shift * part));
        const { loss } = trainer.gradients('batch');
        data.set(original);
        return loss;
      }) as [number, number];
      const expected = gradient.data.reduce((sum, value, element) => sum + value * direction[element]!, 0);
      expect(Math.abs((slopes[0] - slopes[1]) / (2 * step) - expected)).toBeLessThan(1e-8);
    }
  });
});
