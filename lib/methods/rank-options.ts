// The rank of a projection: the same for every layer, or a share of each layer's width.
import { compactError } from '../errors.js';
import { numberAbove, optional, wholeNumber, type OptionTable } from '../options.js';

/** Columns of the projection: one of both. */
export interface RankOptions {
  /** The same for every layer; instead of `rankRatio`. */
  readonly rank?: number;
  /** As a share of the width that is projected, rounded to the nearest multiple of 8. Default 0.25, unless `rank` is given. */
  readonly rankRatio?: number;
}

export const rankTable = {
  rank: optional(wholeNumber(1)),
  rankRatio: optional(numberAbove(0, 1)),
} satisfies OptionTable<RankOptions>;

/** Wrong ranks have a code of their own. */
export const rankCodes = {
  rank: 'ERR_COMPACT_RANK',
  rankRatio: 'ERR_COMPACT_RANK',
  inputRank: 'ERR_COMPACT_RANK',
  inputRankRatio: 'ERR_COMPACT_RANK',
} as const;

const defaultRankRatio = 0.25;

/** @throws ERR_COMPACT_RANK for both */
export const rankOrDefault = (what: string, { rank, rankRatio }: RankOptions): RankOptions =>
  exactlyOne(
    what,
    rank === undefined && rankRatio === undefined ? { rankRatio: defaultRankRatio } : { rank, rankRatio },
  );

/** @throws ERR_COMPACT_RANK for both, or none */
export function exactlyOne(what: string, { rank, rankRatio }: RankOptions, prefix = ''): RankOptions {
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
 * Rank of the projection of a width.
 * @param name of the weight, and what the width is, for errors
 * @throws ERR_COMPACT_RANK for a rank over the width
 */
export function rankWithin(
  width: number,
  { rank, rankRatio }: RankOptions,
  { name, whose }: { readonly name: string; readonly whose: string },
): number {
  if (rankRatio !== undefined) return Math.min(width, Math.max(8, 8 * Math.round((rankRatio * width) / 8)));
  if (rank! > width)
    throw compactError('ERR_COMPACT_RANK', `the rank is over the width of ${name}`, {
      op: name,
      expected: `at most ${width}, ${whose}`,
      received: String(rank),
      remedy: 'Lower the rank, or give it as a ratio, which fits each layer.',
    });
  return rank!;
}
