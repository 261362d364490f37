import type { OptionTable } from '../../options.js';
import { rankOrDefault, rankTable, type RankOptions } from '../rank-options.js';
import { defineOptimizer } from './optimizer.js';
import {
  fullGradientBecause,
  scaledGradient,
  scaledGradientTable,
  source,
  type ScaledGradientSettings,
} from './scaled-gradient.js';

/** Options of APOLLO. The rank is one of the smaller side of each matrix. */
export interface ApolloSettings extends ScaledGradientSettings, RankOptions {}

/**
 * A factor for each channel of the larger side, from moments of rank n/4. Differences from the published code: bias
 * corrections are part of the direction, and so of the length whose growth is limited; epsilon is added to the corrected
 * root.
 */
export const apollo = defineOptimizer<ApolloSettings>()({
  name: 'apollo',
  source,
  fullGradientBecause,
  table: { ...scaledGradientTable, ...rankTable } satisfies OptionTable<ApolloSettings>,
  create: (options) =>
    scaledGradient(options, {
      rank: rankOrDefault('apollo', options),
      axisOf: (side) => (side === 'left' ? 'column' : 'row'),
    }),
});
