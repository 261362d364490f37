import * as v from 'valibot';
import type { Attribute, DType, Model } from '../graph/index.js';
import { modelSchema } from '../graph/model-schema.js';
import type { Method } from '../methods/index.js';
import { methodSchema } from '../methods/method.js';
import {
  flag,
  numberFrom,
  oneOf,
  optional,
  seedNumber,
  text,
  wholeNumber,
  type OptionTable,
} from '../options.js';

/** What backward rebuilds: nothing, norm outputs and activations ('cheap'), or all inside a layer ('layer'). */
export type RecomputePolicy = 'none' | 'cheap' | 'layer';
/** What is counted: what this package does, or what the published tables measured. */
export type Accounting = 'ours' | 'published';

/** The machine that a plan is for, as data and one function, so that it need not be here. */
export interface Target {
  readonly device: 'cpu' | 'cuda' | 'cuda-emulated';
  /** Bytes of scratch memory that one call of an op needs, beside its operands. */
  workspaceBytes(call: {
    readonly op: string;
    readonly inputs: readonly (TensorShape | undefined)[];
    readonly outputs: readonly TensorShape[];
    readonly attributes: Readonly<Record<string, Attribute>>;
  }): number;
  /** Ops that prepare their workspace beside the instruction before them. Default none. */
  readonly preparedOps?: ReadonlySet<string>;
  /** Ops of which several calls that do not depend on each other run as one. Default none. */
  readonly groupedOps?: ReadonlySet<string>;
}

/** Shape and dtype of an operand. */
export interface TensorShape {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** What a plan is made of. */
export interface CompileOptions {
  readonly model: Model;
  readonly method: Method;
  readonly target: Target;
  /** Sequences of one micro-batch. */
  readonly batchSize: number;
  /** Tokens of one sequence. */
  readonly sequenceLength: number;
  /** Sequences hold several documents, none of which sees another; batches say where each begins. Default false. */
  readonly isPacked?: boolean;
  /** Of parameters and activations. */
  readonly dtype: 'f32' | 'bf16';
  /** Of weight gradients. Default 'f32'. */
  readonly gradientDtype?: 'f32' | 'bf16';
  /** What backward rebuilds instead of keeping it. Default 'none'. */
  readonly recompute?: RecomputePolicy;
  /**
   * 'layer': each update right after its gradient, which then dies. 'end': all gradients live until backward is done,
   * as they must for accumulation and clipping, which imply it. Default 'layer'.
   */
  readonly updatePlacement?: 'layer' | 'end';
  /** Gradients live across micro-batches: entries `accumulate` and `update` instead of `step`. */
  readonly accumulateGradients?: boolean;
  /** Clip by global norm; needs all gradients at once, so it implies `accumulate` and `update`. 0 or absent: no clipping. */
  readonly maxGradNorm?: number;
  /** One op for silu and product instead of the two that plain autograd keeps. Default true. */
  readonly fuseSwiglu?: boolean;
  /** Tokens whose logits exist at a time. Default 1024. */
  readonly lossChunkTokens?: number;
  /** Each layer learns at rates of its own, which runs are given under names of their own (`layerRate`). Default false. */
  readonly layerRates?: boolean;
  /** Parameters that get their values after the plan is loaded, from files: nothing initializes them. Default: none. */
  readonly loadedParameters?: readonly string[];
  /**
   * What the plan is for: entries that are not named are left out of it. 'predict' gives the logits of a sequence. Default: all
   * but that.
   */
  readonly entries?: readonly ('train' | 'evaluate' | 'predict' | 'generate' | 'initialize')[];
  /** Sequences of one evaluation. Default `batchSize`. */
  readonly evaluateBatchSize?: number;
  /** Sequences that are generated at a time. Default 1. */
  readonly generateBatchSize?: number;
  /** Of initial weights. Default 42. */
  readonly seed?: number;
  /**
   * `published` plans what the published tables measured instead of what this package does (see accounting.ts).
   * Default 'ours'.
   */
  readonly accounting?: Accounting;
}

/** More tokens than a micro-batch can have on any machine; their numbers are i32. */
export const maxTokens = 2 ** 31;

/** What decides the plan of a training run, in compile options and in those of a trainer. */
export const planRows = {
  model: modelSchema,
  method: methodSchema,
  batchSize: wholeNumber(1, maxTokens),
  sequenceLength: wholeNumber(1, maxTokens),
  dtype: oneOf(['f32', 'bf16']),
  gradientDtype: optional(oneOf(['f32', 'bf16']), 'f32'),
  recompute: optional(oneOf(['none', 'cheap', 'layer']), 'none'),
  updatePlacement: optional(oneOf(['layer', 'end']), 'layer'),
  maxGradNorm: optional(numberFrom(0), 0),
  lossChunkTokens: optional(wholeNumber(1, maxTokens)),
  seed: optional(seedNumber, 42),
} as const;

const entryNames = oneOf(['train', 'evaluate', 'predict', 'generate', 'initialize']);

export const compileTable = {
  ...planRows,
  target: v.custom<Target>(isTarget, "a target, e.g. cpuTarget(), cudaTarget() or deviceTarget('cuda')"),
  isPacked: optional(flag, false),
  accumulateGradients: optional(flag, false),
  layerRates: optional(flag, false),
  loadedParameters: optional(v.array(text, 'a list of names')),
  fuseSwiglu: optional(flag, true),
  entries: optional(v.array(entryNames, 'a list of entries')),
  evaluateBatchSize: optional(wholeNumber(1, maxTokens)),
  generateBatchSize: optional(wholeNumber(1, maxTokens)),
  accounting: optional(oneOf(['ours', 'published']), 'ours'),
} satisfies OptionTable<CompileOptions>;

function isTarget(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { device, workspaceBytes, preparedOps, groupedOps } = value as Partial<Target>;
  return (
    ['cpu', 'cuda', 'cuda-emulated'].includes(device!) &&
    typeof workspaceBytes === 'function' &&
    [preparedOps, groupedOps].every((ops) => ops === undefined || typeof ops.has === 'function')
  );
}
