// LLaMA (Touvron et al. 2023): RMSNorm before each sublayer, rotary positions, causal grouped-query attention, SwiGLU,
// no biases. Linear weights are (in_features, out_features), the embedding table (vocabulary, hidden).
import { compactError } from '../../errors.js';
import {
  add,
  attention,
  batchInput,
  embedding,
  linear,
  multiply,
  rmsNorm,
  rope,
  silu,
  swiglu,
  type BatchField,
  type BuildOptions,
  type Graph,
  type ParameterRole,
  type Value,
} from '../../graph/index.js';
import { causalHead } from '../heads/causal.js';
import type { HiddenStates } from '../heads/hidden-states.js';
import { headSizeOf, type LlamaConfig } from './config.js';
import { embeddingName, lastNormName, layerNames } from './weights.js';

/** The ids that the body reads. */
export const llamaTokens = ({ vocabSize }: Pick<LlamaConfig, 'vocabSize'>): BatchField => ({
  name: 'tokens',
  dtype: 'i32',
  shape: ['batchSize', 'sequenceLength'],
  numIds: vocabSize,
});

/**
 * The loss, or to generate the logits (1, vocabulary) of a row.
 * @throws ERR_COMPACT_CONFIG_VALUE for sequences beyond the longest of the model
 */
export function buildLlama(graph: Graph, config: Required<LlamaConfig>, options: BuildOptions): Value {
  const body = new LlamaBody(graph, config, options);
  const table = graph.inLayer('embedding', () => body.embeddingTable());
  const hidden = body.build(table);
  const { vocabSize, tieWordEmbeddings, initializerRange } = config;
  const head = {
    vocabularySize: vocabSize,
    tiedTable: tieWordEmbeddings ? table : undefined,
    initializerRange,
  };
  return graph.inLayer('head', () => causalHead(graph, hidden, head, options));
}

class LlamaBody {
  readonly #graph: Graph;
  readonly #config: Required<LlamaConfig>;
  readonly #options: BuildOptions;
  readonly #headSize: number;
  readonly #cos: Value; // (sequence, headSize / 2)
  readonly #sin: Value; // (sequence, headSize / 2)
  readonly #tokens: Value; // (tokens)

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
    this.#tokens = batchInput(graph, llamaTokens(config), options);
  }

  embeddingTable(): Value {
    const { vocabSize, hiddenSize, initializerRange } = this.#config;
    return this.#graph.parameter(embeddingName, [vocabSize, hiddenSize], this.#options.dtype, {
      role: 'embedding',
      initializer: { type: 'normal', standardDeviation: initializerRange },
    });
  }

  build(table: Value): HiddenStates {
    const graph = this.#graph;
    let x = graph.inLayer('embedding', () => embedding(table, this.#tokens)); // (tokens, hidden)
    for (let layer = 0; layer < this.#config.numHiddenLayers; layer++) {
      x = graph.inLayer(`layers.${layer}.attention`, () => add(x, this.#attention(x, layer)));
      x = graph.inLayer(`layers.${layer}.mlp`, () => add(x, this.#mlp(x, layer)));
    }
    return { states: x, norm: (rows) => this.#norm(rows, lastNormName) };
  }

  #attention(x: Value, layer: number): Value {
    const { hiddenSize, numKeyValueHeads } = this.#config;
    const headSize = this.#headSize;
    const keyValueWidth = numKeyValueHeads * headSize;
    const names = layerNames(layer);
    const normed = this.#norm(x, names.attentionNorm);
    const shared = names.query;
    const query = linear(normed, this.#weight(names.query, [hiddenSize, hiddenSize], 'query'), 'query');
    const key = linear(normed, this.#weight(names.key, [hiddenSize, keyValueWidth], 'key', shared), 'key');
    const value = linear(
      normed,
      this.#weight(names.value, [hiddenSize, keyValueWidth], 'value', shared),
      'value',
    );
    const attended = attention(
      rope(query, this.#cos, this.#sin, { headSize, name: 'rotatedQuery' }),
      rope(key, this.#cos, this.#sin, { headSize, name: 'rotatedKey' }),
      value,
      { sequenceLength: this.#options.sequenceLength, headSize },
    );
    return linear(
      attended,
      this.#weight(names.output, [hiddenSize, hiddenSize], 'output'),
      'attentionOutput',
    );
  }

  #mlp(x: Value, layer: number): Value {
    const { hiddenSize, intermediateSize } = this.#config;
    const names = layerNames(layer);
    const normed = this.#norm(x, names.mlpNorm);
    const inward = [hiddenSize, intermediateSize];
    const gate = linear(normed, this.#weight(names.gate, inward, 'gate'), 'gate');
    const up = linear(normed, this.#weight(names.up, inward, 'up', names.gate), 'up');
    const { fuseSwiglu = true } = this.#options;
    const gated = fuseSwiglu ? swiglu(gate, up) : multiply(silu(gate), up);
    return linear(gated, this.#weight(names.down, [intermediateSize, hiddenSize], 'down'), 'mlpOutput');
  }

  /** Weight of a linear layer, (in_features, out_features). */
  #weight(name: string, shape: readonly number[], role: ParameterRole, sharesInputWith?: string): Value {
    return this.#graph.parameter(name, shape, this.#options.dtype, {
      role,
      initializer: { type: 'normal', standardDeviation: this.#config.initializerRange },
      sharesInputWith,
    });
  }

  #norm(x: Value, name: string): Value {
    const weight = this.#graph.parameter(name, [this.#config.hiddenSize], this.#options.dtype, {
      role: 'norm',
      initializer: { type: 'constant', value: 1 },
    });
    return rmsNorm(x, weight, this.#config.rmsNormEps);
  }
}
