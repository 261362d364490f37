import type { Attribute, DType, Model } from '../graph/index.js';
import type { Method } from '../methods/index.js';

export type RecomputePolicy = 'none' | 'cheap' | 'layer';
export type Accounting = 'ours' | 'published';

/** The machine that a plan is for, as data and one function, so that it need not be here. */
export interface Target {
  readonly device: 'cpu' | 'cuda' | 'cuda-emulated';
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

export interface TensorShape {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export interface CompileOptions {
  readonly model: Model;
  readonly method: Method;
  readonly target: Target;
  readonly batchSize: number; // sequences of one micro-batch
  readonly sequenceLength: number;
  /** Of parameters and activations. */
  readonly dtype: 'f32' | 'bf16';
  /** Of weight gradients. Default 'f32'. */
  readonly gradientDtype?: 'f32' | 'bf16';
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
  readonly fuseSwiglu?: boolean;
  readonly lossChunkTokens?: number;
  /** Batch and length of `evaluate` and `generate`; default those of training. Entries can be left out of a plan. */
  readonly entries?: readonly ('train' | 'evaluate' | 'generate' | 'initialize')[];
  readonly evaluateBatchSize?: number;
  /** Of initial weights. Default 42. */
  readonly seed?: number;
  /**
   * `published` plans what the published tables measured instead of what this package does (see accounting.ts).
   * Default 'ours'.
   */
  readonly accounting?: Accounting;
}
