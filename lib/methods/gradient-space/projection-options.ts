import * as v from 'valibot';
import { distributions, type Distribution, type ParameterRole, type Value } from '../../graph/index.js';
import {
  checkOptions,
  numberFrom,
  oneOf,
  optional,
  section,
  wholeNumber,
  type Checked,
  type OptionTable,
} from '../../options.js';
import type { MatrixRole } from '../matrix-roles.js';
import {
  exactlyOne,
  rankCodes,
  rankOrDefault,
  rankTable,
  rankWithin,
  type RankOptions,
} from '../rank-options.js';

/** Roles of weights that can be compressed; `output` is chosen by its own option. */
export const compressibleRoles = ['query', 'key', 'value', 'gate', 'up', 'down'] as const;
/** What a weight that can be compressed is for: three projections of attention, three of the MLP. */
export type CompressibleRole = (typeof compressibleRoles)[number];

/** What is projected, how, and for how long. */
export interface ProjectionOptions extends RankOptions {
  /** Other ranks for some roles, e.g. `{ down: { rankRatio: 0.125 } }`. */
  readonly overrides?: Readonly<Partial<Record<CompressibleRole | 'output', RankOptions>>>;
  /** Optimizer steps between new projections. Default 50; 1 with an optimizer that keeps nothing of compressed weights. */
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
   * What happens to moments when the projection changes: 'keep' them (as published), 'reset' the first one to zero, 'transfer'
   * the first one to the new basis, or 'restart' all states from zero, with bias corrections that count from there. Default
   * 'keep'.
   */
  readonly momentsAtRefresh?: 'keep' | 'reset' | 'transfer' | 'restart';
  /** Roles to compress. Default: all. */
  readonly targetModules?: readonly CompressibleRole[];
}

export type ResolvedProjectionOptions = Required<Omit<ProjectionOptions, 'rank' | 'rankRatio'>> & RankOptions;

/** A projection for each of these weights, attention's output one that projects the input which attention keeps. */
export const projectedAlike = (roles: readonly MatrixRole[]) =>
  ({
    targetModules: roles.filter((role) => role !== 'output'),
    outputProjection: roles.includes('output') ? 'lazy' : 'dense',
    outputUpdateScale: 1,
    updateScale: 1,
    overrides: {},
    distribution: 'gaussian',
    sharing: 'weight',
  }) as const satisfies Partial<ResolvedProjectionOptions>;

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
  momentsAtRefresh: optional(oneOf(['keep', 'reset', 'transfer', 'restart']), 'keep'),
  targetModules: optional(v.pipe(v.array(oneOf(compressibleRoles), targets), v.nonEmpty(targets)), () => [
    ...compressibleRoles,
  ]),
} satisfies OptionTable<ProjectionOptions>;

/**
 * What options say of each other, and the defaults that follow from others.
 * @throws ERR_COMPACT_TYPE, ERR_COMPACT_CONFIG_UNKNOWN_KEY, ERR_COMPACT_CONFIG_VALUE, ERR_COMPACT_RANK
 */
export function resolveProjectionOptions(
  what: string,
  checked: ProjectionOptions,
): ResolvedProjectionOptions {
  const { rank, rankRatio, overrides, ...options } = checked as Checked<typeof projectionTable>;
  return {
    ...options,
    outputUpdateScale: options.outputUpdateScale ?? options.updateScale / 2,
    ...rankOrDefault(what, { rank, rankRatio }),
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

/**
 * Rank of the projection of one weight.
 * @throws ERR_COMPACT_RANK naming the weight and its input width
 */
export const rankOf = (weight: Value, role: ParameterRole, options: ResolvedProjectionOptions): number =>
  rankWithin(weight.shape[0]!, options.overrides[role as CompressibleRole] ?? options, {
    name: weight.name,
    whose: "the layer's input width",
  });
