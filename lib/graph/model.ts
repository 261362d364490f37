import type { BatchField } from './batch-field.js';
import type { Graph } from './graph.js';
import type { PreferenceOptions } from './ops/preference-loss.js';
import type { DType, Value } from './value.js';
import type { WeightMap } from './weight-map.js';

/** What a model has to know to build its forward pass. */
export interface BuildOptions {
  /** Sequences. */
  readonly batchSize: number;
  /** Tokens of one sequence; to generate, those that the cache holds at most. */
  readonly sequenceLength: number;
  /** Of parameters and activations. */
  readonly dtype: DType;
  /**
   * 'train' and 'evaluate' give a loss, 'predict' the logits of every token, or of every sequence whose class is told, 'generate' logits: of every new token, or of models that are not causal what their
   * head says.
   */
  readonly purpose: 'train' | 'evaluate' | 'predict' | 'generate';
  /** Sequences hold several documents, none of which sees another: `packedFields` are read. Default false. */
  readonly isPacked?: boolean;
  /** Tokens of each sequence that one run reads, those before them being in a cache. Default: whole sequences. */
  readonly newTokens?: number;
  /** Separate silu and multiply instead of the fused swiglu: what plain autograd keeps. Default true. */
  readonly fuseSwiglu?: boolean;
  /**
   * Sequences are preference pairs, the chosen and the rejected one of each in turn: the loss is that of their preference
   * (`preferenceLoss`), with `referenceLogProbabilities` of the batch. Default: the loss of tokens or classes.
   */
  readonly preference?: PreferenceOptions;
  /** Tokens whose logits exist at a time in the loss. Default 1024. */
  readonly lossChunkTokens?: number;
}

/** Whether a model gives a loss, and so reads what is to be predicted; else logits. */
export const givesLoss = ({ purpose }: Pick<BuildOptions, 'purpose'>): boolean =>
  purpose === 'train' || purpose === 'evaluate';

/** Ids of control tokens, where a tokenizer has them. */
export interface ControlTokenIds {
  readonly bos?: number;
  readonly eos?: number;
  readonly pad?: number;
}

/** A model builds its forward pass into a graph and does not know how it will be trained. */
export interface Model {
  readonly name: string;
  readonly vocabularySize: number;
  readonly maxSequenceLength: number;
  readonly numParameters: number;
  /** What it reads from a batch, for a loss; what is to be predicted is not read where it generates. */
  readonly batchFields: readonly BatchField[];
  /** What it reads besides of packed documents (`placeFields`); absent: it cannot be told where one begins. */
  readonly packedFields?: readonly BatchField[];
  /** How its parameters stand in files of weights. */
  readonly weights: WeightMap;
  /** What names of the body's tensors begin with, and do not where a file was saved of the body alone. */
  readonly bodyPrefix?: string;
  /** What names of tensors begin with that belong to other heads, which weights to start from may come with. */
  readonly otherHeads?: readonly string[];
  /** Sequences that are one example, which no batch parts: 2 where preference pairs are learnt. Default 1. */
  readonly sequencesOfExample?: number;
  /** A token sees those before it alone: 'generate' reads new tokens behind a cache of those before them. */
  readonly isCausal?: true;
  /**
   * Inputs are fields of the batch (`batchInput`), where there are new tokens also `positions` (`newTokenPositions`).
   * Returns the loss, or logits (tokens, vocabulary).
   */
  build(graph: Graph, options: BuildOptions): Value;
  /** Host-made tables (rope, numbers of positions) that are written once after load: value name to data of its dtype. */
  constants(sequenceLength: number): Readonly<Record<string, Float32Array | Int32Array>>;
  /** Plain configuration for checkpoints and reports (JSON values only). */
  describe(): Readonly<Record<string, unknown>>;
  /** The `config.json` with which Hugging Face's libraries open the weights (JSON values only). */
  pretrainedConfig(dtype: DType, tokens?: ControlTokenIds): Readonly<Record<string, unknown>>;
}
