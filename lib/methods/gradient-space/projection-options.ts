import * as v from 'valibot';
import { compactError } from '../../errors.js';
import { distributions, type Distribution, type ParameterRole, type Value } from '../../graph/index.js';
import {
  checkOptions,
  numberAbove,
  numberFrom,
  oneOf,
  optional,
  section,
  wholeNumber,
  type Checked,
  type OptionTable,
} from '../../options.js';

/** Roles of weights that can be compressed; `output` is chosen by its own option. */
export const compressibleRoles = ['query', 'key', 'value', 'gate', 'up', 'down'] as const;
/** What a weight that can be compressed is for: three projections of attention, three of the MLP. */
export type CompressibleRole = (typeof compressibleRoles)[number];

/** Columns of the projection: one of both. */
export interface RankOptions {
  /** The same for every layer; instead of `rankRatio`. */
  readonly rank?: number;
  /** As a share of each layer's input width, rounded to the nearest multiple of 8. Default 0.25, unless `rank` is given. */
  readonly rankRatio?: number;
}

/** What is projected, how, and for how long. */
export interface ProjectionOptions extends RankOptions {
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
  /** Roles to compress. Default: all. */
  readonly targetModules?: readonly CompressibleRole[];
}

export type ResolvedProjectionOptions = Required<Omit<ProjectionOptions, 'rank' | 'rankRatio'>> & RankOptions;

const rankTable = {
  rank: optional(wholeNumber(1)),
  rankRatio: optional(numberAbove(0, 1)),
} satisfies OptionTable<RankOptions>;

export const defaultRankRatio = 0.25;

const targets = `some of ${compressibleRoles.join(', ')}`;

export const projectionTable = {
  ...rankTable,
  overrides: optional(section, {}),
  refreshInterval: optional(wholeNumber(1), 50),
  updateScale: optional(numberFrom(0), 0.25),
  outputProjection: optional(oneOf(['dense', 'lazy']), 'dense'),
  outputUpdateScale: optional(numberFrom(0)),
  distribution: optional(oneOf(distributions), 'gaussian'),
  sharing: optional(oneOf(['input', 'weight']), 'input'),
  store: optional(oneOf(['stored', 'lazy']), 'stored'),
  momentsAtRefresh: optional(oneOf(['keep', 'reset', 'transfer']), 'keep'),
  targetModules: optional(v.pipe(v.array(oneOf(compressibleRoles), targets), v.nonEmpty(targets)), () => [
    ...compressibleRoles,
  ]),
} satisfies OptionTable<ProjectionOptions>;

/** Wrong ranks have a code of their own. */
export const rankCodes = { rank: 'ERR_COMPACT_RANK', rankRatio: 'ERR_COMPACT_RANK' } as const;

/**
 * What options say of each other, and the defaults that follow from others.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 */
export function resolveProjectionOptions(
  what: string,
  checked: ProjectionOptions,
): ResolvedProjectionOptions {
  const { rank, rankRatio, overrides, ...options } = checked as Checked<typeof projectionTable>;
  const isRankGiven = rank !== undefined || rankRatio !== undefined;
  return {
    ...options,
    outputUpdateScale: options.outputUpdateScale ?? options.updateScale / 2,
    ...exactlyOne(what, isRankGiven ? { rank, rankRatio } : { rankRatio: defaultRankRatio }),
    overrides: checkOverrides(overrides),
  };
}

function checkOverrides(given: unknown): ResolvedProjectionOptions['overrides'] {
  const table = Object.fromEntries([...compressibleRoles, 'output'].map((role) => [role, optional(section)]));
  const overrides = checkOptions(given, table, { what: 'overrides', prefix: 'overrides.' });
  return Object.fromEntries(
    Object.entries(overrides).map(([role, override]) => {
      const place = `overrides.${role}`;
      const context = { what: place, prefix: `${place}.`, codes: rankCodes };
      return [role, exactlyOne(place, checkOptions(override, rankTable, context), context.prefix)];
    }),
  );
}

function exactlyOne(what: string, { rank, rankRatio }: RankOptions, prefix = ''): RankOptions {
  if ((rank === undefined) === (rankRatio === undefined))
    throw compactError('ERR_COMPACT_RANK', `${what} takes exactly one of rank and rankRatio`, {
      op: rank === undefined ? what : `${prefix}rank`,
      expected: 'rank or rankRatio',
      received: rank === undefined ? 'neither' : `both rank ${rank} and rankRatio ${rankRatio}`,
      remedy:
        rank === undefined ? `rankRatio: ${defaultRankRatio} is a good start.` : 'Leave one of them out',
      details: rank === undefined ? undefined : { excluded: ['rank', 'rankRatio'] },
    });
  return rank === undefined ? { rankRatio } : { rank };
}

/**
 * Rank of the projection of one weight.
 * @throws ERR_COMPACT_RANK naming the weight and its input width
 */
export function rankOf(weight: Value, role: ParameterRole, options: ResolvedProjectionOptions): number {
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
