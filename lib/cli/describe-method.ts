import type { RecomputePolicy } from '../compile/index.js';
import { type Method, methodFromDescription, methodNames } from '../methods/index.js';

const policies = { none: '', cheap: ', selective recompute', layer: ', layer checkpointing' } as const;

/** A method and what backward rebuilds, in a few words, e.g. 'compact n/4, lazy, layer checkpointing'. */
export function describeMethod(method: Method, recompute: RecomputePolicy = 'none'): string {
  const isPlain = method.name === 'dense' && recompute === 'none';
  return methodInWords(method, isPlain ? 'plain' : undefined) + policies[recompute];
}

/** A method in a few words, e.g. 'dense, muon'; `more` is said of it after its name. */
export function methodInWords(method: Method, more?: string): string {
  const {
    name,
    r,
    rank = r,
    rankRatio,
    inputRank,
    inputRankRatio,
    store,
    savedActivations,
    activationSlopes,
    weights,
    optimizer,
  } = method.describe() as {
    name: string;
    r?: number;
    rank?: number;
    rankRatio?: number;
    inputRank?: number;
    inputRankRatio?: number;
    store?: string;
    savedActivations?: string;
    activationSlopes?: string;
    weights?: string;
    optimizer?: string;
  };
  const head = [name, describeRank(rank, rankRatio)].filter((word) => word !== '').join(' ');
  const inputs = describeRank(inputRank, inputRankRatio);
  const parts = [
    head,
    more,
    inputs === '' ? undefined : `inputs ${inputs}`,
    store,
    describeCopies(name, savedActivations),
    weights === 'int8-aware' ? weights : undefined,
    activationSlopes === undefined ? undefined : `${activationSlopes} slopes`,
    optimizer === 'adamw' ? undefined : optimizer,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** Nothing where a method of this name has such copies anyway. */
function describeCopies(name: string, format: string | undefined): string | undefined {
  const isItsOwn =
    methodNames.includes(name) && methodFromDescription({ name }).describe()['savedActivations'] === format;
  return format === undefined || isItsOwn ? undefined : `${format} copies`;
}

function describeRank(rank: number | undefined, rankRatio: number | undefined): string {
  if (rank !== undefined) return `rank ${rank}`;
  if (rankRatio === undefined) return '';
  const denominator = 1 / rankRatio;
  return Number.isInteger(denominator) ? `n/${denominator}` : `${rankRatio} n`;
}
