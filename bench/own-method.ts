import type { StateFormat } from '../lib/methods/index.js';

/** Our methods as the grid of scripts/gpu-bench names them. */
export interface OwnMethod {
  readonly method: 'dense' | 'compact';
  readonly rankRatio?: number;
  readonly store?: 'stored' | 'lazy';
  readonly stateFormat: StateFormat;
}

/** Such a method as recipes describe it. */
export const ownMethod = ({ method, rankRatio, store, stateFormat }: OwnMethod) =>
  method === 'dense' ? { name: method, stateFormat } : { name: method, rankRatio, store, stateFormat };
