import {
  compile,
  type Accounting,
  type CompileOptions,
  type Plan,
  type RecomputePolicy,
  type Target,
} from '../compile/index.js';
import { memoryReport, type MemoryReport } from '../memory/index.js';
import { compact, dense, type Method } from '../methods/index.js';
import { llama } from '../models/index.js';

/** One training run as `compact-train plan` is asked about it: everything that decides its bytes. */
export interface PlanRequest {
  readonly model: string; // preset
  readonly batch: number; // sequences of a micro-batch
  readonly sequence: number;
  readonly dtype: 'f32' | 'bf16';
  /** Of the optimizer's moments. Default f32. */
  readonly stateFormat?: 'f32' | 'bf16';
  readonly method: 'dense' | 'compact';
  readonly rank?: number;
  readonly rankRatio?: number;
  readonly store?: 'stored' | 'lazy';
  readonly sharing?: 'input' | 'weight';
  readonly recompute?: RecomputePolicy;
  /** Gradients live across micro-batches. */
  readonly accumulate?: boolean;
  readonly accounting: Accounting;
}

export interface PlannedRequest {
  readonly plan: Plan;
  readonly report: MemoryReport;
  readonly planSeconds: number;
}

const defaultRankRatio = 0.25;

/** Compiles one request. Nothing is allocated, so any model can be planned on any machine. */
export function planRequest(request: PlanRequest, target: Target): PlannedRequest {
  const startedAt = performance.now();
  const plan = compile(compileOptions(request, target));
  const report = memoryReport(plan);
  return { plan, report, planSeconds: (performance.now() - startedAt) / 1000 };
}

export function compileOptions(request: PlanRequest, target: Target): CompileOptions {
  const { batch, sequence, dtype, recompute, accumulate, accounting } = request;
  return {
    model: llama(request.model, { maxPositionEmbeddings: Math.max(2048, sequence) }),
    method: methodOf(request),
    target,
    batchSize: batch,
    sequenceLength: sequence,
    dtype,
    recompute,
    accumulateGradients: accumulate,
    accounting,
    entries: ['train'],
  };
}

/** One set of flags plans both methods side by side: what only compact knows, dense leaves aside. */
export function methodOf({ method, stateFormat, rank, rankRatio, store, sharing }: PlanRequest): Method {
  if (method === 'compact') {
    const isRankGiven = rank !== undefined || rankRatio !== undefined;
    return compact({
      rank,
      rankRatio: isRankGiven ? rankRatio : defaultRankRatio,
      stateFormat,
      store,
      sharing,
    });
  }
  return dense({ stateFormat });
}

/** Method and policy in a few words, e.g. 'compact n/4, lazy'. */
export function describeRequest({ method, rank, rankRatio, store, recompute }: PlanRequest): string {
  const policy = { none: '', cheap: ', cheap recompute', layer: ', layer checkpointing' }[
    recompute ?? 'none'
  ];
  if (method === 'dense') return `dense${policy}`;
  return `compact ${describeRank(rank, rankRatio)}, ${store ?? 'stored'}${policy}`;
}

function describeRank(rank: number | undefined, rankRatio = defaultRankRatio): string {
  if (rank !== undefined) return `rank ${rank}`;
  const denominator = 1 / rankRatio;
  return Number.isInteger(denominator) ? `n/${denominator}` : `${rankRatio} n`;
}
