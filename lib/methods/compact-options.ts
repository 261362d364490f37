import { compactError } from '../errors.js';
import { distributions, type Distribution, type ParameterRole, type Value } from '../graph/index.js';
import { adamDefaults, adamKeys, checkAdamOptions, type AdamOptions } from './adam.js';
import {
  isNumberWithin,
  isWholeNumber,
  requireKnownKeys,
  requireOneOf,
  requireOption,
  withDefaults,
} from './options.js';

/** Roles of weights that can be compressed; `output` is chosen by its own option. */
export const compressibleRoles = ['query', 'key', 'value', 'gate', 'up', 'down'] as const;
export type CompressibleRole = (typeof compressibleRoles)[number];

/** Columns of the projection: exactly one of both. */
export interface RankOptions {
  /** The same for every layer. */
  readonly rank?: number;
  /** As a share of each layer's input width, above 0 and at most 1; rounded to the nearest multiple of 8. */
  readonly rankRatio?: number;
}

export interface CompactOptions extends AdamOptions, RankOptions {
  /** Other ranks for some roles, e.g. `{ down: { rankRatio: 0.125 } }`. */
  readonly overrides?: Readonly<Partial<Record<CompressibleRole | 'output', RankOptions>>>;
  /** Optimizer steps between new projections. Default 50. */
  readonly refreshInterval?: number;
  /** Multiplies the learning rate of compressed weights: the paper's alpha. Default 0.25. */
  readonly updateScale?: number;
  /**
   * Attention's output projection, whose input attention keeps anyway. 'dense': full gradient and moments (as
   * published); 'lazy': compressed, projecting that input in backward. Default 'dense'.
   */
  readonly outputProjection?: 'dense' | 'lazy';
  /** Multiplies the learning rate of the output projection. Default half of `updateScale`. */
  readonly outputUpdateScale?: number;
  /** Law of the projection's entries; 'identity' makes the gradient exact at full rank. Default 'gaussian'. */
  readonly distribution?: Distribution;
  /**
   * One projection per layer input, so that query, key and value share one compressed input, and gate and up another;
   * or one per weight, as published. Default 'input'.
   */
  readonly sharing?: 'input' | 'weight';
  /**
   * 'stored': compress inputs in forward and keep the result; 'lazy': keep nothing, rebuild cheap inputs in backward
   * and compress them there. Equal gradients. Default 'stored'.
   */
  readonly store?: 'stored' | 'lazy';
  /**
   * What happens to moments when the projection changes: 'keep' them (as published), 'reset' the first one to zero, or
   * 'transfer' the first one to the new basis. Default 'keep'.
   */
  readonly momentsAtRefresh?: 'keep' | 'reset' | 'transfer';
  /** Roles to compress. Default: all six. */
  readonly targetModules?: readonly CompressibleRole[];
}

export type ResolvedCompactOptions = Required<Omit<CompactOptions, 'rank' | 'rankRatio'>> & RankOptions;

const defaults = {
  ...adamDefaults,
  epsilon: 1e-6,
  overrides: {},
  refreshInterval: 50,
  updateScale: 0.25,
  outputProjection: 'dense',
  distribution: 'gaussian',
  sharing: 'input',
  store: 'stored',
  momentsAtRefresh: 'keep',
  targetModules: compressibleRoles,
} as const;

const rankKeys = ['rank', 'rankRatio'] as const;
const knownKeys: readonly string[] = [
  ...adamKeys,
  ...rankKeys,
  ...Object.keys(defaults),
  'outputUpdateScale',
];

/** @throws ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK */
export function resolveCompactOptions(options: CompactOptions): ResolvedCompactOptions {
  requireKnownKeys('compact', options, [...new Set(knownKeys)]);
  const updateScale = options.updateScale ?? defaults.updateScale;
  const resolved: ResolvedCompactOptions = withDefaults(options, {
    ...defaults,
    outputUpdateScale: updateScale / 2,
  });
  checkAdamOptions(resolved);
  requireRank('compact', resolved);
  const { overrides, refreshInterval, outputUpdateScale, targetModules } = resolved;
  for (const [role, override] of Object.entries<RankOptions>(overrides)) {
    requireOneOf('a role in overrides', role, [...compressibleRoles, 'output']);
    requireKnownKeys(`overrides.${role}`, override, rankKeys);
    requireRank(`overrides.${role}`, override);
  }
  requireOption(
    'refreshInterval',
    refreshInterval,
    isWholeNumber(refreshInterval, 1),
    'a whole number from 1',
  );
  requireOption('updateScale', updateScale, isNumberWithin(updateScale, 0), 'a number that is not negative');
  requireOption(
    'outputUpdateScale',
    outputUpdateScale,
    isNumberWithin(outputUpdateScale, 0),
    'a number that is not negative',
  );
  requireOneOf('outputProjection', resolved.outputProjection, ['dense', 'lazy']);
  requireOneOf('distribution', resolved.distribution, distributions);
  requireOneOf('sharing', resolved.sharing, ['input', 'weight']);
  requireOneOf('store', resolved.store, ['stored', 'lazy']);
  requireOneOf('momentsAtRefresh', resolved.momentsAtRefresh, ['keep', 'reset', 'transfer']);
  const hasTargets = Array.isArray(targetModules) && targetModules.length > 0;
  requireOption('targetModules', targetModules, hasTargets, `some of ${compressibleRoles.join(', ')}`);
  for (const role of targetModules) requireOneOf('a role in targetModules', role, compressibleRoles);
  return resolved;
}

/** Exactly one of rank and rankRatio, and in range as far as that can be told without a layer. */
function requireRank(what: string, { rank, rankRatio }: RankOptions): void {
  if ((rank === undefined) === (rankRatio === undefined))
    throw compactError('ERR_COMPACT_RANK', `${what} takes exactly one of rank and rankRatio`, {
      op: what,
      expected: 'rank or rankRatio',
      received: rank === undefined ? 'neither' : `both rank ${rank} and rankRatio ${rankRatio}`,
      remedy: 'rankRatio: 0.25 is a good start.',
    });
  if (rank !== undefined)
    requireOption(`${what}: rank`, rank, isWholeNumber(rank, 1), 'a whole number from 1', 'ERR_COMPACT_RANK');
  if (rankRatio !== undefined) {
    const isShare = isNumberWithin(rankRatio, 0, 1) && rankRatio > 0;
    requireOption(`${what}: rankRatio`, rankRatio, isShare, 'above 0 and at most 1', 'ERR_COMPACT_RANK');
  }
}

/**
 * Rank of the projection of one weight.
 * @throws ERR_COMPACT_RANK naming the weight and its input width
 */
export function rankOf(weight: Value, role: ParameterRole, options: ResolvedCompactOptions): number {
  const width = weight.shape[0]!;
  const { rank, rankRatio } = options.overrides[role as CompressibleRole] ?? options;
  if (rankRatio !== undefined) return Math.min(width, Math.max(8, 8 * Math.round((rankRatio * width) / 8)));
  if (rank! > width)
    throw compactError('ERR_COMPACT_RANK', `the rank is over the width of ${weight.name}`, {
      op: weight.name,
      expected: `at most ${width}, the layer's input width`,
      received: String(rank),
      remedy: 'Lower rank, or use rankRatio, which fits each layer.',
    });
  return rank!;
}
