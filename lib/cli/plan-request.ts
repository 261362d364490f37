import { compile, type Accounting, type Plan, type RecomputePolicy, type Target } from '../compile/index.js';
import { compactError } from '../errors.js';
import { memoryReport, type MemoryReport } from '../memory/index.js';
import { compact, dense, type Method } from '../methods/index.js';
import { llama, type LlamaPreset } from '../models/index.js';

/** One training run as `compact-train plan` is asked about it: everything that decides its bytes. */
export interface PlanRequest {
  readonly model: string; // preset
  readonly batch: number; // sequences of a micro-batch
  readonly sequence: number;
  readonly dtype: 'f32' | 'bf16';
  /** Of the optimizer's moments. Default f32. */
  readonly stateDtype?: 'f32' | 'bf16';
  readonly method: 'dense' | 'compact';
  readonly rank?: number;
  readonly rankRatio?: number;
  readonly store?: 'stored' | 'lazy';
  readonly sharing?: 'input' | 'weight';
  readonly recompute?: RecomputePolicy;
  readonly accounting: Accounting;
}

export interface PlannedRequest {
  readonly plan: Plan;
  readonly report: MemoryReport;
  readonly planSeconds: number;
}

export const defaultRankRatio = 0.25;

/** Compiles one request. Nothing is allocated, so any model can be planned on any machine. */
export function planRequest(request: PlanRequest, target: Target): PlannedRequest {
  const startedAt = performance.now();
  const plan = compile({
    model: llama(request.model as LlamaPreset, { maxPositionEmbeddings: Math.max(2048, request.sequence) }),
    method: methodOf(request),
    target,
    batchSize: request.batch,
    sequenceLength: request.sequence,
    recompute: request.recompute ?? 'none',
    entries: ['train'],
    dtype: request.dtype,
    accounting: request.accounting,
  });
  const report = memoryReport(plan);
  return { plan, report, planSeconds: (performance.now() - startedAt) / 1000 };
}

function methodOf(request: PlanRequest): Method {
  if (request.method === 'dense') {
    for (const option of ['rank', 'rankRatio', 'store', 'sharing'] as const)
      if (request[option] !== undefined)
        throw compactError('ERR_COMPACT_ARGUMENT', `${option} belongs to --method compact`, {
          op: option,
          received: `--method dense with ${option} ${request[option]}`,
          remedy: 'Leave it out, or ask for --method compact',
        });
    return dense({ stateDtype: request.stateDtype ?? 'f32' });
  }
  const size =
    request.rank === undefined && request.rankRatio === undefined
      ? { rankRatio: defaultRankRatio }
      : { ...(request.rank && { rank: request.rank }), ...(request.rankRatio && { rankRatio: request.rankRatio }) };
  const { stateDtype = 'f32', sharing = 'input', store = 'stored' } = request;
  return compact({ ...size, stateDtype, sharing, store });
}

/** The request in a few words, e.g. 'compact n/4, lazy'. */
export function describeRequest({ method, rank, rankRatio, store, recompute }: PlanRequest): string {
  const policy = { none: '', cheap: ', cheap recompute', layer: ', layer checkpointing' }[recompute ?? 'none'];
  if (method === 'dense') return `dense${policy}`;
  return `compact ${describeRank(rank, rankRatio)}, ${store ?? 'stored'}${policy}`;
}

function describeRank(rank: number | undefined, rankRatio: number | undefined): string {
  if (rank !== undefined) return `rank ${rank}`;
  const denominator = 1 / (rankRatio ?? defaultRankRatio);
  return Number.isInteger(denominator) ? `n/${denominator}` : `${rankRatio} n`;
}
