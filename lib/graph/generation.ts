// What models that generate read and keep beside the tokens: a run reads some new tokens of every sequence, at their
// positions, and finds those before them in the cache.
import type { Graph } from './graph.js';
import type { BuildOptions } from './model.js';
import type { KeyValueCache } from './ops/cached-attention.js';
import type { Value } from './value.js';

/** Tokens of each sequence that one run reads. */
export const tokensRead = ({ sequenceLength, newTokens = sequenceLength }: BuildOptions): number => newTokens;

/** The input that says where in its sequence each new token stands: i32 (sequences * newTokens). */
export const newTokenPositions = (graph: Graph, options: BuildOptions): Value =>
  graph.input('positions', [options.batchSize * tokensRead(options)], 'i32');

/** What the attention of one layer keeps of the tokens of all sequences: (sequences * sequenceLength, width) each. */
export function keyValueCache(
  graph: Graph,
  layer: number,
  width: number,
  { batchSize, sequenceLength, dtype }: BuildOptions,
): KeyValueCache {
  const part = (name: string): Value =>
    graph.session(`cache.${layer}.${name}`, [batchSize * sequenceLength, width], dtype, 'keyValueCache');
  return { keys: part('keys'), values: part('values') };
}
