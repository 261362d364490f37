import type { Graph } from './graph.js';
import type { BuildOptions } from './model.js';
import type { Value } from './value.js';

/** One array that a model reads from every batch. */
export interface BatchField {
  readonly name: string;
  readonly dtype: 'i32';
  /** Sizes, outermost first. The array itself is flat. */
  readonly shape: readonly ('batchSize' | 'sequenceLength')[];
  /** Ids of the field are below this. */
  readonly numIds: number;
}

/** The input of a graph that a field of the batch is: one dimension, all its elements. */
export function batchInput(
  graph: Graph,
  { name, dtype, shape }: BatchField,
  sizes: Pick<BuildOptions, 'batchSize' | 'sequenceLength'>,
): Value {
  return graph.input(name, [shape.reduce((count, size) => count * sizes[size], 1)], dtype);
}
