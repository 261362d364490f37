// LLaMA (Touvron et al. 2023): RMSNorm before each sublayer, rotary positions, causal grouped-query attention, SwiGLU,
// no biases. Parameters have the names of Hugging Face's checkpoints, but linear weights are stored (in_features,
// out_features), the transpose of PyTorch's layout. The embedding table is (vocabulary, hidden) in both.
import { compactError } from '../errors.js';
import {
  add,
  attention,
  embedding,
  linear,
  linearCrossEntropy,
  matmul,
  multiply,
  rmsNorm,
  rope,
  scalar,
  selectRow,
  silu,
  swiglu,
  type BuildOptions,
  type Graph,
  type Model,
  type ParameterRole,
  type Value,
} from '../graph/index.js';
import { pretrainedLlamaConfig, resolveLlamaConfig, type LlamaConfig } from './llama-config.js';
import type { LlamaPresetName } from './presets.js';
import { ropeTables } from './rope-tables.js';

// A tensorId is 16 * layer + slot; the tensors outside of layers follow as if they were one more layer.
const slots = {
  query: 0,
  key: 1,
  value: 2,
  output: 3,
  gate: 4,
  up: 5,
  down: 6,
  attentionNorm: 7,
  mlpNorm: 8,
} as const;
const outerSlots = { embedding: 0, norm: 1, head: 2 } as const;

/**
 * A LLaMA-like language model.
 * @param model a preset's name (`llamaPresets`), or a configuration
 * @param overrides replace single values of either
 * @throws ERR_COMPACT_MODEL_UNKNOWN, ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE
 * @example llama('llama-60m').numParameters // 58073600
 */
export function llama(model: LlamaPresetName | LlamaConfig, overrides?: Partial<LlamaConfig>): Model {
  const config = resolveLlamaConfig(model, overrides);
  return {
    name: typeof model === 'string' ? model : 'llama',
    vocabularySize: config.vocabSize,
    maxSequenceLength: config.maxPositionEmbeddings,
    numParameters: countParameters(config),
    build: (graph, options) => new LlamaBuilder(graph, config, options).build(),
    constants: (sequenceLength) => ropeTables(sequenceLength, headSizeOf(config), config.ropeTheta),
    describe: () => ({ architecture: 'llama', ...config }),
    pretrainedConfig: (dtype, tokens) => pretrainedLlamaConfig(config, dtype, tokens),
  };
}

const headSizeOf = (config: Required<LlamaConfig>): number => config.hiddenSize / config.numAttentionHeads;

function countParameters(config: Required<LlamaConfig>): number {
  const { hiddenSize: hidden, intermediateSize, vocabSize, numHiddenLayers, tieWordEmbeddings } = config;
  const keyValueWidth = config.numKeyValueHeads * headSizeOf(config);
  const layer = 2 * hidden * hidden + 2 * hidden * keyValueWidth + 3 * hidden * intermediateSize + 2 * hidden;
  return vocabSize * hidden * (tieWordEmbeddings ? 1 : 2) + numHiddenLayers * layer + hidden;
}

class LlamaBuilder {
  readonly #graph: Graph;
  readonly #config: Required<LlamaConfig>;
  readonly #options: BuildOptions;
  readonly #headSize: number;
  readonly #cos: Value; // (sequence, headSize / 2)
  readonly #sin: Value; // (sequence, headSize / 2)

  constructor(graph: Graph, config: Required<LlamaConfig>, options: BuildOptions) {
    const { sequenceLength } = options;
    if (sequenceLength > config.maxPositionEmbeddings)
      throw compactError(
        'ERR_COMPACT_CONFIG_VALUE',
        'sequenceLength is beyond the longest sequence of the model',
        {
          op: 'sequenceLength',
          expected: `at most ${config.maxPositionEmbeddings}`,
          received: String(sequenceLength),
          remedy: 'Shorten the sequences or raise maxPositionEmbeddings.',
        },
      );
    this.#graph = graph;
    this.#config = config;
    this.#options = options;
    this.#headSize = headSizeOf(config);
    const tableShape = [sequenceLength, this.#headSize / 2];
    this.#cos = graph.state('rope.cos', tableShape, 'f32', 'input');
    this.#sin = graph.state('rope.sin', tableShape, 'f32', 'input');
  }

  build(): Value {
    const { batchSize, sequenceLength } = this.#options;
    const graph = this.#graph;
    const tokens = graph.input('tokens', [batchSize * sequenceLength], 'i32');
    const table = graph.inLayer('embedding', () => this.#embeddingTable());
    let x = graph.inLayer('embedding', () => embedding(table, tokens)); // (tokens, hidden)
    for (let layer = 0; layer < this.#config.numHiddenLayers; layer++) {
      x = graph.inLayer(`layers.${layer}.attention`, () => add(x, this.#attention(x, layer)));
      x = graph.inLayer(`layers.${layer}.mlp`, () => add(x, this.#mlp(x, layer)));
    }
    return graph.inLayer('head', () => this.#head(x, table));
  }

  #attention(x: Value, layer: number): Value {
    const { hiddenSize, numKeyValueHeads } = this.#config;
    const headSize = this.#headSize;
    const keyValueWidth = numKeyValueHeads * headSize;
    const prefix = `model.layers.${layer}.self_attn`;
    const normed = this.#norm(x, `model.layers.${layer}.input_layernorm`, 16 * layer + slots.attentionNorm);
    const weight = (
      name: string,
      role: 'query' | 'key' | 'value' | 'output',
      rows: number,
      columns: number,
    ) => this.#weight(`${prefix}.${name}.weight`, [rows, columns], role, layer);
    const query = linear(normed, weight('q_proj', 'query', hiddenSize, hiddenSize), 'query');
    const key = linear(normed, weight('k_proj', 'key', hiddenSize, keyValueWidth), 'key');
    const value = linear(normed, weight('v_proj', 'value', hiddenSize, keyValueWidth), 'value');
    const attended = attention(
      rope(query, this.#cos, this.#sin, { headSize, name: 'rotatedQuery' }),
      rope(key, this.#cos, this.#sin, { headSize, name: 'rotatedKey' }),
      value,
      { sequenceLength: this.#options.sequenceLength, headSize },
    );
    return linear(attended, weight('o_proj', 'output', hiddenSize, hiddenSize), 'attentionOutput');
  }

  #mlp(x: Value, layer: number): Value {
    const { hiddenSize, intermediateSize } = this.#config;
    const prefix = `model.layers.${layer}.mlp`;
    const normed = this.#norm(
      x,
      `model.layers.${layer}.post_attention_layernorm`,
      16 * layer + slots.mlpNorm,
    );
    const weight = (name: string, role: 'gate' | 'up' | 'down', rows: number, columns: number) =>
      this.#weight(`${prefix}.${name}.weight`, [rows, columns], role, layer);
    const gate = linear(normed, weight('gate_proj', 'gate', hiddenSize, intermediateSize), 'gate');
    const up = linear(normed, weight('up_proj', 'up', hiddenSize, intermediateSize), 'up');
    const { fuseSwiglu = true } = this.#options;
    const gated = fuseSwiglu ? swiglu(gate, up) : multiply(silu(gate), up);
    return linear(gated, weight('down_proj', 'down', intermediateSize, hiddenSize), 'mlpOutput');
  }

  #head(x: Value, table: Value): Value {
    const { hiddenSize, vocabSize, tieWordEmbeddings, numHiddenLayers } = this.#config;
    const { batchSize, sequenceLength, purpose, lossChunkTokens } = this.#options;
    const outer = 16 * numHiddenLayers;
    const weight = tieWordEmbeddings
      ? table
      : this.#graph.parameter('lm_head.weight', [hiddenSize, vocabSize], this.#options.dtype, {
          role: 'head',
          initializer: { type: 'normal', standardDeviation: this.#config.initializerRange },
          tensorId: outer + outerSlots.head,
        });
    const isGenerate = purpose === 'generate';
    const rows = isGenerate ? selectRow(x, scalar('row')) : x;
    const normed = this.#norm(rows, 'model.norm', outer + outerSlots.norm);
    if (isGenerate)
      return matmul(normed, weight, {
        transposeB: tieWordEmbeddings,
        dtype: 'f32',
        kind: 'logits',
        name: 'logits',
      });
    const targets = this.#graph.input('targets', [batchSize * sequenceLength], 'i32');
    return linearCrossEntropy(normed, weight, targets, {
      transposeWeight: tieWordEmbeddings,
      lossScale: scalar('lossScale'),
      chunkTokens: lossChunkTokens,
    });
  }

  #embeddingTable(): Value {
    const { vocabSize, hiddenSize, initializerRange, numHiddenLayers } = this.#config;
    return this.#graph.parameter('model.embed_tokens.weight', [vocabSize, hiddenSize], this.#options.dtype, {
      role: 'embedding',
      initializer: { type: 'normal', standardDeviation: initializerRange },
      tensorId: 16 * numHiddenLayers + outerSlots.embedding,
    });
  }

  /** Weight of a linear layer, (in_features, out_features). */
  #weight(
    name: string,
    shape: readonly number[],
    role: ParameterRole & keyof typeof slots,
    layer: number,
  ): Value {
    const sharesInput = { key: 'query', value: 'query', up: 'gate' } as const;
    const first = role in sharesInput ? sharesInput[role as keyof typeof sharesInput] : role;
    return this.#graph.parameter(name, shape, this.#options.dtype, {
      role,
      initializer: { type: 'normal', standardDeviation: this.#config.initializerRange },
      tensorId: 16 * layer + slots[role],
      inputTensorId: 16 * layer + slots[first],
    });
  }

  #norm(x: Value, name: string, tensorId: number): Value {
    const weight = this.#graph.parameter(`${name}.weight`, [this.#config.hiddenSize], this.#options.dtype, {
      role: 'norm',
      initializer: { type: 'constant', value: 1 },
      tensorId,
    });
    return rmsNorm(x, weight, this.#config.rmsNormEps);
  }
}
