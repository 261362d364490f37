// The body that LLaMA (Touvron et al. 2023) and its relatives share: RMSNorm before each sublayer, rotary positions,
// causal grouped-query attention, SwiGLU. Linear weights are (in_features, out_features), the embedding table
// (vocabulary, hidden).
import { compactError } from '../../errors.js';
import {
  add,
  attention,
  batchInput,
  bias,
  cachedAttention,
  embedding,
  geglu,
  gelu,
  keyValueCache,
  linear,
  multiply,
  newTokenPositions,
  placeFields,
  reshape,
  rmsNorm,
  rope,
  scale,
  silu,
  swiglu,
  tokensRead,
  type BatchField,
  type BuildOptions,
  type DType,
  type Graph,
  type Value,
} from '../../graph/index.js';
import { causalHead } from '../heads/causal.js';
import type { HiddenStates } from '../heads/hidden-states.js';
import { linearShapes, type DecoderFacts, type LinearName } from './facts.js';
import { longestOf } from './rope-scaling.js';
import { biasName, embeddingName, headNormNames, lastNormName, normNames, weightName } from './weights.js';

/** The ids that the body reads. */
export const decoderTokens = ({ vocabSize }: Pick<DecoderFacts, 'vocabSize'>): BatchField => ({
  name: 'tokens',
  dtype: 'i32',
  shape: ['batchSize', 'sequenceLength'],
  numIds: vocabSize,
});

/** Where tokens stand and what they see. */
export const decoderPlaces = ({ rope }: DecoderFacts): ReturnType<typeof placeFields> =>
  placeFields(longestOf(rope));

/**
 * The loss, or to generate the logits (tokens, vocabulary) of new tokens.
 * @throws ERR_COMPACT_CONFIG_VALUE for sequences beyond the longest of the model
 */
export function buildDecoder(graph: Graph, facts: DecoderFacts, options: BuildOptions): Value {
  checkLength(facts, options);
  const body = new DecoderBody(graph, facts, options);
  const table = graph.inLayer('embedding', () => body.embeddingTable());
  const hidden = body.build(table);
  const { vocabSize, tieWordEmbeddings, initializerRange, logitSoftCap } = facts;
  const head = {
    vocabularySize: vocabSize,
    tiedTable: tieWordEmbeddings ? table : undefined,
    initializerRange,
    logitSoftCap,
  };
  return graph.inLayer('head', () => causalHead(graph, hidden, head, options));
}

function checkLength({ rope }: DecoderFacts, { sequenceLength }: BuildOptions): void {
  const longest = longestOf(rope);
  if (sequenceLength <= longest) return;
  throw compactError(
    'ERR_COMPACT_CONFIG_VALUE',
    'sequenceLength is beyond the longest sequence of the model',
    {
      op: 'sequenceLength',
      expected: `at most ${longest}`,
      received: String(sequenceLength),
      remedy: 'Shorten the sequences or raise maxPositionEmbeddings.',
    },
  );
}

class DecoderBody {
  readonly #graph: Graph;
  readonly #facts: DecoderFacts;
  readonly #options: BuildOptions;
  readonly #shapes: Readonly<Record<LinearName, readonly [number, number]>>;
  readonly #cos: Value; // (sequence, headSize / 2)
  readonly #sin: Value; // (sequence, headSize / 2)
  readonly #tokens: Value; // (tokens)
  /** Undefined where a sequence is one document. */
  readonly #places: { readonly positions: Value; readonly firstKeys: Value } | undefined; // (tokens) each
  /** Undefined where whole sequences are read. */
  readonly #newPositions: Value | undefined; // (tokens)

  constructor(graph: Graph, facts: DecoderFacts, options: BuildOptions) {
    this.#graph = graph;
    this.#facts = facts;
    this.#options = options;
    this.#shapes = linearShapes(facts);
    const tableShape = [options.sequenceLength, facts.headSize / 2];
    this.#cos = graph.state('rope.cos', tableShape, 'f32', 'input');
    this.#sin = graph.state('rope.sin', tableShape, 'f32', 'input');
    this.#tokens = batchInput(graph, decoderTokens(facts), options);
    const { isPacked = false } = options;
    const [positions, firstKeys] = decoderPlaces(facts);
    this.#places =
      options.newTokens === undefined && isPacked
        ? {
            positions: batchInput(graph, positions, options),
            firstKeys: batchInput(graph, firstKeys, options),
          }
        : undefined;
    this.#newPositions = options.newTokens === undefined ? undefined : newTokenPositions(graph, options);
  }

  embeddingTable(): Value {
    const { vocabSize, hiddenSize, initializerRange } = this.#facts;
    return this.#graph.parameter(embeddingName, [vocabSize, hiddenSize], this.#options.dtype, {
      role: 'embedding',
      initializer: { type: 'normal', standardDeviation: initializerRange },
    });
  }

  build(table: Value): HiddenStates {
    const graph = this.#graph;
    let x = graph.inLayer('embedding', () => this.#embedded(table)); // (tokens, hidden)
    for (let layer = 0; layer < this.#facts.numHiddenLayers; layer++) {
      const { attentionNorm, attentionPostNorm, mlpNorm, mlpPostNorm } = normNames(layer, this.#facts);
      x = graph.inLayer(`layers.${layer}.attention`, () => {
        const attended = this.#attention(this.#norm(x, attentionNorm), layer);
        return add(x, this.#normedAfter(attended, attentionPostNorm));
      });
      x = graph.inLayer(`layers.${layer}.mlp`, () => {
        const transformed = this.#mlp(this.#norm(x, mlpNorm), layer);
        return add(x, this.#normedAfter(transformed, mlpPostNorm));
      });
    }
    return { states: x, norm: (rows) => this.#norm(rows, lastNormName) };
  }

  #embedded(table: Value): Value {
    const { hiddenSize, scalesEmbedding } = this.#facts;
    const x = embedding(table, this.#tokens);
    return scalesEmbedding ? scale(x, roundedTo(this.#options.dtype, Math.sqrt(hiddenSize))) : x;
  }

  #normedAfter(x: Value, name: string | undefined): Value {
    return name === undefined ? x : this.#norm(x, name);
  }

  #attention(normed: Value, layer: number): Value {
    const query = this.#linear(normed, layer, 'query', 'query');
    const key = this.#linear(normed, layer, 'key', 'key', 'query');
    const value = this.#linear(normed, layer, 'value', 'value', 'query');
    const { queryNorm, keyNorm } = headNormNames(layer);
    const attended = this.#attended(
      this.#rotated(query, queryNorm, 'rotatedQuery'),
      this.#rotated(key, keyNorm, 'rotatedKey'),
      value,
      layer,
    );
    return this.#linear(attended, layer, 'output', 'attentionOutput');
  }

  /** Whole sequences see themselves; new tokens what the cache holds before them, too. */
  #attended(query: Value, key: Value, value: Value, layer: number): Value {
    const { headSize, slidingWindows, scoreScale: scale, scoreSoftCap: softCap } = this.#facts;
    const window = slidingWindows[layer % slidingWindows.length];
    const { sequenceLength } = this.#options;
    const positions = this.#newPositions;
    if (positions === undefined) {
      const { firstKeys } = this.#places ?? {};
      const options = { sequenceLength, headSize, scale, softCap, firstKeys, window };
      return attention(query, key, value, options);
    }
    const cache = keyValueCache(this.#graph, layer, key.shape[1]!, this.#options);
    const newTokens = tokensRead(this.#options);
    return cachedAttention(query, key, value, cache, {
      positions,
      newTokens,
      headSize,
      scale,
      window,
      softCap,
    });
  }

  /** Queries or keys at their positions, after the norm of each head where there is one. */
  #rotated(heads: Value, norm: string, name: string): Value {
    const { headSize, hasQueryKeyNorm } = this.#facts;
    const normed = hasQueryKeyNorm ? this.#eachNormed(heads, norm) : heads;
    const positions = this.#newPositions ?? this.#places?.positions;
    return rope(normed, this.#cos, this.#sin, { headSize, positions, name });
  }

  /** Every head a row of its own for the norm: (tokens, heads * headSize) as (tokens * heads, headSize), and back. */
  #eachNormed(heads: Value, norm: string): Value {
    const { headSize } = this.#facts;
    const [tokens, width] = heads.shape as [number, number];
    const rows = reshape(heads, [(tokens * width) / headSize, headSize]);
    return reshape(this.#norm(rows, norm), [tokens, width]);
  }

  #mlp(normed: Value, layer: number): Value {
    const gate = this.#linear(normed, layer, 'gate', 'gate');
    const up = this.#linear(normed, layer, 'up', 'up', 'gate');
    return this.#linear(this.#gated(gate, up), layer, 'down', 'mlpOutput');
  }

  #gated(gate: Value, up: Value): Value {
    const isGelu = this.#facts.activation === 'gelu';
    if (this.#options.fuseSwiglu ?? true) return isGelu ? geglu(gate, up) : swiglu(gate, up);
    return multiply(isGelu ? gelu(gate, { approximate: true }) : silu(gate), up);
  }

  /**
   * A linear layer, with its bias if it has one.
   * @param output name of the product
   * @param sharesInputWith the first of the layers that read the same input
   */
  #linear(
    input: Value,
    layer: number,
    name: LinearName,
    output: string,
    sharesInputWith?: LinearName,
  ): Value {
    const { dtype } = this.#options;
    const weight = this.#graph.parameter(weightName(layer, name), this.#shapes[name], dtype, {
      role: name,
      initializer: { type: 'normal', standardDeviation: this.#facts.initializerRange },
      sharesInputWith: sharesInputWith && weightName(layer, sharesInputWith),
      headSize: name === 'query' || name === 'key' ? this.#facts.headSize : undefined,
    });
    const product = linear(input, weight, output);
    if (!this.#facts.biased.includes(name)) return product;
    const vector = this.#graph.parameter(biasName(layer, name), [this.#shapes[name][1]], dtype, {
      role: 'bias',
      initializer: { type: 'constant', value: 0 },
    });
    return bias(product, vector);
  }

  /** RMSNorm of every row. */
  #norm(x: Value, name: string): Value {
    const { rmsNormEps, normWeightOffset } = this.#facts;
    const weight = this.#graph.parameter(name, [x.shape[1]!], this.#options.dtype, {
      role: 'norm',
      initializer: { type: 'constant', value: normWeightOffset === 1 ? 0 : 1 },
    });
    return rmsNorm(x, weight, rmsNormEps, normWeightOffset === 1 ? { weightOffset: 1 } : {});
  }
}

/** The nearest number that the dtype has, ties to even: what a factor is in a model that computes in it. */
function roundedTo(dtype: DType, value: number): number {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer) as Uint32Array & [number];
  if (dtype === 'f32') return Math.fround(value);
  const rounded = ((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0;
  return new Float32Array(Uint32Array.of(rounded).buffer)[0]!;
}
