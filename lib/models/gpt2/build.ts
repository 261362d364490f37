// GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019): a learned vector for every
// position, LayerNorm before each sublayer, causal attention, GELU in its tanh form, biases everywhere. Linear weights are
// (in_features, out_features), tables (vocabulary, hidden) and (positions, hidden).
import { compactError } from '../../errors.js';
import {
  add,
  attention,
  batchInput,
  bias,
  cachedAttention,
  embedding,
  gelu,
  keyValueCache,
  layerNorm,
  linear,
  newTokenPositions,
  placeFields,
  reshape,
  tokensRead,
  type BatchField,
  type BuildOptions,
  type Graph,
  type Value,
} from '../../graph/index.js';
import { causalHead } from '../heads/causal.js';
import type { HiddenStates } from '../heads/hidden-states.js';
import type { Gpt2Config } from './config.js';
import {
  embeddingName,
  lastNorm,
  linearPrefix,
  modulePrefix,
  positionsName,
  type LinearName,
} from './weights.js';

/** The ids that the body reads. */
export const gpt2Tokens = ({ vocabSize }: Pick<Gpt2Config, 'vocabSize'>): BatchField => ({
  name: 'tokens',
  dtype: 'i32',
  shape: ['batchSize', 'sequenceLength'],
  numIds: vocabSize,
});

/** Where tokens stand and what they see, of packed documents. */
export const gpt2Places = ({ nPositions }: Required<Gpt2Config>): ReturnType<typeof placeFields> =>
  placeFields(nPositions);

/** The constant that holds the numbers of positions, i32 (sequence), where every sequence is one document. */
export const positionIdsName = 'positionIds';

/**
 * The loss, or to generate the logits (tokens, vocabulary) of new tokens.
 * @throws ERR_COMPACT_CONFIG_VALUE for sequences beyond the longest of the model
 */
export function buildGpt2(graph: Graph, config: Required<Gpt2Config>, options: BuildOptions): Value {
  const { vocabSize, nPositions, tieWordEmbeddings, initializerRange } = config;
  if (options.sequenceLength > nPositions)
    throw compactError(
      'ERR_COMPACT_CONFIG_VALUE',
      'sequenceLength is beyond the longest sequence of the model',
      {
        op: 'sequenceLength',
        expected: `at most ${nPositions}`,
        received: String(options.sequenceLength),
        remedy: 'Shorten the sequences.',
      },
    );
  const body = new Gpt2Body(graph, config, options);
  const table = graph.inLayer('embedding', () => body.table(embeddingName, vocabSize));
  const hidden = body.build(table);
  const head = {
    vocabularySize: vocabSize,
    tiedTable: tieWordEmbeddings ? table : undefined,
    initializerRange,
  };
  return graph.inLayer('head', () => causalHead(graph, hidden, head, options));
}

class Gpt2Body {
  readonly #graph: Graph;
  readonly #config: Required<Gpt2Config>;
  readonly #options: BuildOptions;
  readonly #tokens: Value; // (tokens)
  readonly #positions: Value; // (sequence), packed or new (tokens)
  readonly #firstKeys: Value | undefined; // (tokens)

  constructor(graph: Graph, config: Required<Gpt2Config>, options: BuildOptions) {
    this.#graph = graph;
    this.#config = config;
    this.#options = options;
    this.#tokens = batchInput(graph, gpt2Tokens(config), options);
    const [positions, firstKeys] = gpt2Places(config);
    const { isPacked = false, sequenceLength } = options;
    this.#firstKeys = isPacked && !this.#readsNew ? batchInput(graph, firstKeys, options) : undefined;
    if (this.#readsNew) this.#positions = newTokenPositions(graph, options);
    else if (isPacked) this.#positions = batchInput(graph, positions, options);
    else this.#positions = graph.state(positionIdsName, [sequenceLength], 'i32', 'input');
  }

  /** Whether new tokens are read, behind a cache. */
  get #readsNew(): boolean {
    return this.#options.newTokens !== undefined;
  }

  table(name: string, rows: number): Value {
    const { nEmbd, initializerRange } = this.#config;
    return this.#graph.parameter(name, [rows, nEmbd], this.#options.dtype, {
      role: 'embedding',
      initializer: { type: 'normal', standardDeviation: initializerRange },
    });
  }

  build(table: Value): HiddenStates {
    const graph = this.#graph;
    let x = graph.inLayer('embedding', () => this.#placed(embedding(table, this.#tokens))); // (tokens, hidden)
    for (let layer = 0; layer < this.#config.nLayer; layer++) {
      x = graph.inLayer(`layers.${layer}.attention`, () => add(x, this.#attention(x, layer)));
      x = graph.inLayer(`layers.${layer}.mlp`, () => add(x, this.#mlp(x, layer)));
    }
    return { states: x, norm: (rows) => this.#norm(rows, lastNorm) };
  }

  /**
   * Adds its position's vector to every token. Where sequences are not packed, those of a whole sequence are one bias of
   * rows that are sequences.
   */
  #placed(x: Value): Value {
    const { nEmbd, nPositions } = this.#config;
    const { batchSize, sequenceLength, isPacked = false } = this.#options;
    const vectors = embedding(this.table(positionsName, nPositions), this.#positions);
    if (isPacked || this.#readsNew) return add(x, vectors);
    const width = sequenceLength * nEmbd;
    const placed = bias(reshape(x, [batchSize, width]), reshape(vectors, [width]));
    return reshape(placed, x.shape);
  }

  #attention(x: Value, layer: number): Value {
    const { nEmbd, nHead } = this.#config;
    const normed = this.#norm(x, `${modulePrefix(layer)}.ln_1`);
    const shape = [nEmbd, nEmbd] as const;
    const operands = [
      this.#linear(normed, layer, 'query', shape),
      this.#linear(normed, layer, 'key', shape, 'query'),
      this.#linear(normed, layer, 'value', shape, 'query'),
    ] as const;
    return this.#linear(this.#attended(operands, layer, nEmbd / nHead), layer, 'output', shape);
  }

  /** Whole sequences see themselves; new tokens what the cache holds before them, too. */
  #attended(operands: readonly [Value, Value, Value], layer: number, headSize: number): Value {
    const { sequenceLength } = this.#options;
    const firstKeys = this.#firstKeys;
    if (!this.#readsNew) return attention(...operands, { sequenceLength, headSize, firstKeys });
    const cache = keyValueCache(this.#graph, layer, this.#config.nEmbd, this.#options);
    const options = { positions: this.#positions, newTokens: tokensRead(this.#options), headSize };
    return cachedAttention(...operands, cache, options);
  }

  #mlp(x: Value, layer: number): Value {
    const { nEmbd, nInner } = this.#config;
    const normed = this.#norm(x, `${modulePrefix(layer)}.ln_2`);
    const inner = gelu(this.#linear(normed, layer, 'up', [nEmbd, nInner]), { approximate: true });
    return this.#linear(inner, layer, 'down', [nInner, nEmbd]);
  }

  #linear(
    input: Value,
    layer: number,
    name: LinearName,
    shape: readonly [number, number],
    sharesInputWith?: LinearName,
  ): Value {
    const weight = this.#graph.parameter(`${linearPrefix(layer, name)}.weight`, shape, this.#options.dtype, {
      role: name,
      initializer: { type: 'normal', standardDeviation: this.#config.initializerRange },
      sharesInputWith: sharesInputWith && `${linearPrefix(layer, sharesInputWith)}.weight`,
      headSize: name === 'query' || name === 'key' ? this.#config.nEmbd / this.#config.nHead : undefined,
    });
    return bias(linear(input, weight, name), this.#vector(`${linearPrefix(layer, name)}.bias`, shape[1], 0));
  }

  #norm(x: Value, name: string): Value {
    const { nEmbd, layerNormEpsilon } = this.#config;
    const weight = this.#vector(`${name}.weight`, nEmbd, 1);
    return layerNorm(x, weight, this.#vector(`${name}.bias`, nEmbd, 0), layerNormEpsilon);
  }

  /** Weights of norms start at 1, biases at 0. */
  #vector(name: string, width: number, value: 0 | 1): Value {
    return this.#graph.parameter(name, [width], this.#options.dtype, {
      role: value === 1 ? 'norm' : 'bias',
      initializer: { type: 'constant', value },
    });
  }
}
