import { describe, expect, test } from '@jest/globals';
import { type BuildOptions, Graph, numElements, type Value } from '../../lib/graph/index.js';
import { dense } from '../../lib/methods/index.js';
import { llama, type LlamaConfig, llamaPresets, modelFromDescription } from '../../lib/models/index.js';
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
    expect(Object.keys(llamaPresets)).toHaveLength(13);
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

  test('a description gives the same model', () => {
    const description = JSON.parse(JSON.stringify(llama(tiny).describe())) as Record<string, unknown>;
    expect(modelFromDescription(description).describe()).toEqual(llama(tiny).describe());
    expect(() => modelFromDescription({ architecture: 'gpt' })).toThrow(
      expect.objectContaining({ code: 'ERR_COMPACT_MODEL_UNKNOWN' }),
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
      'lm_head.weight': [8, 11],
    });
    expect(Object.keys(shapes)).toHaveLength(2 * 9 + 3);
  });

  test('tensor ids are unique, and weights of one input know it', () => {
    const { parameters } = build(tiny).graph;
    const infos = parameters.map(({ parameter }) => parameter!);
    expect(new Set(infos.map(({ tensorId }) => tensorId)).size).toBe(infos.length);
    const layer = infos.filter(({ tensorId }) => Math.floor(tensorId / 16) === 1);
    const inputs = Object.fromEntries(layer.map(({ role, inputTensorId }) => [role, inputTensorId]));
    expect(inputs).toMatchObject({ query: 16, key: 16, value: 16, output: 19, gate: 20, up: 20, down: 22 });
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

  test.each([false, true])('generate gives fp32 logits of one row (tied head: %p)', (tieWordEmbeddings) => {
    const options = { batchSize: 1, dtype: 'bf16', purpose: 'generate' } as const;
    const { graph, result } = build({ ...tiny, tieWordEmbeddings }, options);
    expect(result).toMatchObject({ shape: [1, 11], dtype: 'f32', kind: 'logits' });
    const row = graph.nodes.find(({ op }) => op === 'selectRow');
    expect(row!.attributes).toEqual({ row: { scalar: 'row' } });
    expect(graph.values.some(({ name }) => name === 'targets')).toBe(false);
  });
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
