import type { RecomputePolicy } from '../compile/index.js';
import type { Method } from '../methods/index.js';

const policies = { none: '', cheap: ', selective recompute', layer: ', layer checkpointing' } as const;

/** A method and what backward rebuilds, in a few words, e.g. 'compact n/4, lazy, layer checkpointing'. */
export function describeMethod(method: Method, recompute: RecomputePolicy = 'none'): string {
  const { name, rank, rankRatio, store, optimizer } = method.describe() as {
    name: string;
    rank?: number;
    rankRatio?: number;
    store?: string;
    optimizer?: string;
  };
  const head = [name, describeRank(rank, rankRatio)].filter((word) => word !== '').join(' ');
  const isPlain = name === 'dense' && recompute === 'none';
  const parts = [head, isPlain ? 'plain' : undefined, store, optimizer === 'adamw' ? undefined : optimizer];
  return parts.filter((part) => part !== undefined).join(', ') + policies[recompute];
}

function describeRank(rank: number | undefined, rankRatio: number | undefined): string {
  if (rank !== undefined) return `rank ${rank}`;
  if (rankRatio === undefined) return '';
  const denominator = 1 / rankRatio;
  return Number.isInteger(denominator) ? `n/${denominator}` : `${rankRatio} n`;
}
