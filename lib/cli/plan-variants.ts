import type { CompileOptions, RecomputePolicy } from '../compile/index.js';
import { compact, dense } from '../methods/index.js';

/** One way of training a model, to be planned beside others. */
export interface PlanVariant {
  /** In a few words, e.g. 'compact n/4, lazy'. */
  readonly name: string;
  readonly options: CompileOptions;
}

/** What everybody runs, and what costs next to nothing more: every comparison has both. */
export const baselines = (options: CompileOptions): PlanVariant[] => [
  denseVariant(options, 'none'),
  denseVariant(options, 'cheap'),
];

/** The methods that are compared: from what everybody runs to what holds least. */
export function alternatives(options: CompileOptions): PlanVariant[] {
  const compactVariant = (store: 'stored' | 'lazy', recompute: RecomputePolicy): PlanVariant =>
    variant({
      ...options,
      recompute,
      method: compact({ ...rankOf(options), stateDtype: stateDtype(options), store }),
    });
  return [
    ...baselines(options),
    denseVariant(options, 'layer'),
    compactVariant('stored', 'none'),
    compactVariant('lazy', 'none'),
    compactVariant('lazy', 'layer'),
  ];
}

export const variant = (options: CompileOptions): PlanVariant => ({
  name: describeVariant(options),
  options,
});

const denseVariant = (options: CompileOptions, recompute: RecomputePolicy): PlanVariant =>
  variant({ ...options, recompute, method: dense({ stateDtype: stateDtype(options) }) });

const stateDtype = ({ method }: CompileOptions): 'f32' | 'bf16' =>
  method.describe()['stateDtype'] === 'bf16' ? 'bf16' : 'f32';

/** The rank that was asked for, else a quarter. */
function rankOf({ method }: CompileOptions): { rank: number } | { rankRatio: number } {
  const { rank, rankRatio } = method.describe() as { rank?: number; rankRatio?: number };
  return rank === undefined ? { rankRatio: rankRatio ?? 0.25 } : { rank };
}

const policies = { none: '', cheap: ', selective recompute', layer: ', layer checkpointing' } as const;

function describeVariant({ method, recompute = 'none' }: CompileOptions): string {
  const { name, rank, rankRatio, store } = method.describe() as {
    name: string;
    rank?: number;
    rankRatio?: number;
    store?: string;
  };
  if (name === 'dense') return recompute === 'none' ? 'dense, plain' : `dense${policies[recompute]}`;
  return `${name} ${describeRank(rank, rankRatio)}, ${store}${policies[recompute]}`;
}

function describeRank(rank: number | undefined, rankRatio = 1): string {
  if (rank !== undefined) return `rank ${rank}`;
  const denominator = 1 / rankRatio;
  return Number.isInteger(denominator) ? `n/${denominator}` : `${rankRatio} n`;
}
