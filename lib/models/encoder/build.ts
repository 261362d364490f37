// The body that BERT (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
// 2019) and RoBERTa (Liu et al., 2019) share: a learned vector for every position and type of token, attention to all tokens
// that are not padding, LayerNorm after each sublayer, exact GELU, biases everywhere. No dropout is applied. Linear weights
// are (in_features, out_features), tables (rows, hidden).
import { compactError } from '../../errors.js';
import {
  add,
  attention,
  batchInput,
  bias,
  embedding,
  gelu,
  reshape,
  type BatchField,
  type BuildOptions,
  type Graph,
  type Value,
} from '../../graph/index.js';
import { labelFields, labelHead } from '../heads/sequence-label.js';
import { maskedFields, maskedHead } from '../heads/masked-lm.js';
import { longestSequence, numOutputs, type EncoderFacts } from './facts.js';
import { EncoderParts } from './parts.js';
import { embeddingNames, linearPrefix, normPrefixes, type LinearName } from './weights.js';

/** Constants: numbers of rows of the tables for each position of a sequence, i32 (sequence). */
export const positionIdsName = 'positionIds';
export const typeIdsName = 'typeIds';

const perToken = ['batchSize', 'sequenceLength'] as const;

/** What the body reads: ids, types where there are several, and 1 where a token is no padding. */
function bodyFields({ vocabSize, typeVocabSize }: EncoderFacts['config']): {
  readonly tokens: BatchField;
  readonly mask: BatchField;
  readonly types: BatchField | undefined;
} {
  return {
    tokens: { name: 'tokens', dtype: 'i32', shape: perToken, numIds: vocabSize },
    mask: { name: 'attentionMask', dtype: 'u8', shape: perToken },
    types:
      typeVocabSize === 1
        ? undefined
        : { name: 'tokenTypes', dtype: 'i32', shape: perToken, numIds: typeVocabSize },
  };
}

/** What a model reads of a batch, for a loss. */
export function encoderFields(facts: EncoderFacts): readonly BatchField[] {
  const { tokens, mask, types } = bodyFields(facts.config);
  const outputs = numOutputs(facts);
  return [
    tokens,
    mask,
    ...(types === undefined ? [] : [types]),
    ...(outputs === undefined ? maskedFields(facts.config.vocabSize) : labelFields(facts.config)),
  ];
}

/**
 * The loss; to generate the logits (1, vocabulary) of a row, or the numbers (sequences, outputs) that a head gives for
 * sequences.
 * @throws ERR_COMPACT_CONFIG_VALUE for sequences beyond the positions of the model
 */
export function buildEncoder(graph: Graph, facts: EncoderFacts, options: BuildOptions): Value {
  const longest = longestSequence(facts);
  if (options.sequenceLength > longest)
    throw compactError(
      'ERR_COMPACT_CONFIG_VALUE',
      'sequenceLength is beyond the longest sequence of the model',
      {
        op: 'sequenceLength',
        expected: `at most ${longest}`,
        received: String(options.sequenceLength),
        remedy: 'Shorten the sequences.',
      },
    );
  const { config, heads } = facts;
  const parts = new EncoderParts(graph, options.dtype, config);
  const table = graph.inLayer('embedding', () =>
    parts.table(embeddingNames(facts).tokens, config.vocabSize, config.hiddenSize),
  );
  const states = new EncoderBody(graph, facts, options, parts).build(table);
  return graph.inLayer('head', () =>
    numOutputs(facts) === undefined
      ? maskedHead(graph, states, { parts, table, names: heads.masked }, options)
      : labelHead(graph, states, { parts, config, names: heads.label }, options),
  );
}

class EncoderBody {
  readonly #graph: Graph;
  readonly #facts: EncoderFacts;
  readonly #options: BuildOptions;
  readonly #parts: EncoderParts;
  readonly #mask: Value; // (tokens)

  constructor(graph: Graph, facts: EncoderFacts, options: BuildOptions, parts: EncoderParts) {
    this.#graph = graph;
    this.#facts = facts;
    this.#options = options;
    this.#parts = parts;
    this.#mask = batchInput(graph, bodyFields(facts.config).mask, options);
  }

  /** Hidden states (tokens, hidden). */
  build(table: Value): Value {
    const graph = this.#graph;
    let x = graph.inLayer('embedding', () => this.#embedded(table));
    for (let layer = 0; layer < this.#facts.config.numHiddenLayers; layer++) {
      const { attentionNorm, mlpNorm } = normPrefixes(this.#facts, layer);
      x = graph.inLayer(`layers.${layer}.attention`, () =>
        this.#parts.norm(add(x, this.#attention(x, layer)), attentionNorm),
      );
      x = graph.inLayer(`layers.${layer}.mlp`, () => this.#parts.norm(add(x, this.#mlp(x, layer)), mlpNorm));
    }
    return x;
  }

  /** The norm of the sum of a token's vector, its position's and its type's. */
  #embedded(table: Value): Value {
    const { hiddenSize, typeVocabSize } = this.#facts.config;
    const { tokens, types } = bodyFields(this.#facts.config);
    const names = embeddingNames(this.#facts);
    const typeTable = this.#parts.table(names.types, typeVocabSize, hiddenSize);
    const ofTokens = embedding(table, batchInput(this.#graph, tokens, this.#options));
    const typed =
      types === undefined
        ? ofTokens
        : add(ofTokens, embedding(typeTable, batchInput(this.#graph, types, this.#options)));
    return this.#parts.norm(this.#placed(typed, types === undefined ? typeTable : undefined), names.norm);
  }

  /** Adds what is the same in every sequence: one bias of rows that are sequences. */
  #placed(x: Value, typeTable: Value | undefined): Value {
    const { hiddenSize, maxPositionEmbeddings } = this.#facts.config;
    const { batchSize, sequenceLength } = this.#options;
    const ids = (name: string): Value => this.#graph.state(name, [sequenceLength], 'i32', 'input');
    const table = this.#parts.table(embeddingNames(this.#facts).positions, maxPositionEmbeddings, hiddenSize);
    const ofPositions = embedding(table, ids(positionIdsName));
    const vectors =
      typeTable === undefined ? ofPositions : add(ofPositions, embedding(typeTable, ids(typeIdsName)));
    const width = sequenceLength * hiddenSize;
    const placed = bias(reshape(x, [batchSize, width]), reshape(vectors, [width]));
    return reshape(placed, x.shape);
  }

  #attention(x: Value, layer: number): Value {
    const { hiddenSize, numAttentionHeads } = this.#facts.config;
    const attended = attention(
      this.#dense(x, layer, 'query', hiddenSize),
      this.#dense(x, layer, 'key', hiddenSize, 'query'),
      this.#dense(x, layer, 'value', hiddenSize, 'query'),
      {
        sequenceLength: this.#options.sequenceLength,
        headSize: hiddenSize / numAttentionHeads,
        causal: false,
        mask: this.#mask,
      },
    );
    return this.#dense(attended, layer, 'output', hiddenSize);
  }

  #mlp(x: Value, layer: number): Value {
    const { hiddenSize, intermediateSize } = this.#facts.config;
    return this.#dense(gelu(this.#dense(x, layer, 'up', intermediateSize)), layer, 'down', hiddenSize);
  }

  /** @param sharesInputWith the first of the layers that read the same input */
  #dense(x: Value, layer: number, name: LinearName, outputs: number, sharesInputWith?: LinearName): Value {
    const prefixOf = (linear: LinearName): string => linearPrefix(this.#facts, layer, linear);
    const { hiddenSize, numAttentionHeads } = this.#facts.config;
    return this.#parts.dense(x, {
      prefix: prefixOf(name),
      outputs,
      role: name,
      sharesInputWith: sharesInputWith && prefixOf(sharesInputWith),
      headSize: name === 'query' || name === 'key' ? hiddenSize / numAttentionHeads : undefined,
    });
  }
}
