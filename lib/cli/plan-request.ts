import {
  compile,
  type Accounting,
  type CompileOptions,
  type Plan,
  type RecomputePolicy,
  type Target,
} from '../compile/index.js';
import { memoryReport, type MemoryReport } from '../memory/index.js';
import { methodFromDescription } from '../methods/index.js';
import { llama } from '../models/index.js';
import { methodInWords } from './describe-method.js';

/** One training run as benchmarks plan it: everything that decides its bytes. */
export interface PlanRequest {
  readonly model: string; // preset
  readonly batch: number; // sequences of a micro-batch
  readonly sequence: number;
  readonly dtype: 'f32' | 'bf16';
  /** As `methodFromDescription` takes it. */
  readonly method: Readonly<Record<string, unknown>>;
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

/** Compiles one request. Nothing is allocated, so any model can be planned on any machine. */
export function planRequest(request: PlanRequest, target: Target): PlannedRequest {
  const startedAt = performance.now();
  const plan = compile(compileOptions(request, target));
  const report = memoryReport(plan);
  return { plan, report, planSeconds: (performance.now() - startedAt) / 1000 };
}

export function compileOptions(request: PlanRequest, target: Target): CompileOptions {
  const { batch, sequence, dtype, method, recompute, accumulate, accounting } = request;
  return {
    model: llama(request.model, { maxPositionEmbeddings: Math.max(2048, sequence) }),
    method: methodFromDescription(method),
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

const policies = { none: '', cheap: ', cheap recompute', layer: ', layer checkpointing' } as const;

/** Method and policy in a few words, e.g. 'compact n/4, lazy'. */
export const describeRequest = ({
  method,
  recompute = 'none',
}: Pick<PlanRequest, 'method' | 'recompute'>): string =>
  methodInWords(methodFromDescription(method)) + policies[recompute];
