import { numberFrom, optional, wholeNumber, type OptionTable } from '../../options.js';
import { defineOptimizer } from './optimizer.js';
import {
  fullGradientBecause,
  scaledGradient,
  scaledGradientTable,
  source,
  type ScaledGradientSettings,
} from './scaled-gradient.js';

/** Options of APOLLO-Mini. */
export interface ApolloMiniSettings extends ScaledGradientSettings {
  /** Of the projection. Default 1. */
  readonly rank?: number;
}

/** One factor for each matrix, from moments of rank one. It differs from the published code as `apollo` does. */
export const apolloMini = defineOptimizer<ApolloMiniSettings>()({
  name: 'apollo-mini',
  source,
  fullGradientBecause,
  table: {
    ...scaledGradientTable,
    rank: optional(wholeNumber(1), 1),
    updateScale: optional(numberFrom(0), Math.sqrt(128)),
  } satisfies OptionTable<ApolloMiniSettings>,
  create: (options) => scaledGradient(options, { rank: { rank: options.rank }, axisOf: () => 'all' }),
});
