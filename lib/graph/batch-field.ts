import type { Graph } from './graph.js';
import { tokensRead } from './generation.js';
import type { BuildOptions } from './model.js';
import type { Value } from './value.js';

/** One array that a model reads from every batch. */
export interface BatchField {
  readonly name: string;
  readonly dtype: 'i32' | 'u8' | 'f32';
  /** Sizes, outermost first; numbers are those of the model. The array itself is flat. */
  readonly shape: readonly ('batchSize' | 'sequenceLength' | number)[];
  /** Ids of the field are below this; absent: it holds no ids. */
  readonly numIds?: number;
}

/**
 * Where each token stands and what it may see, for sequences of several documents: `positions`, counted
 * from the start of its document, and `firstKeys`, the first position of the sequence that it may attend to.
 * @param numPositions of the longest sequence
 */
export const placeFields = (
  numPositions: number,
): readonly [positions: BatchField, firstKeys: BatchField] => [
  placeField('positions', numPositions),
  placeField('firstKeys', numPositions),
];

const placeField = (name: string, numIds: number): BatchField => ({
  name,
  dtype: 'i32',
  shape: ['batchSize', 'sequenceLength'],
  numIds,
});

/** The input of a graph that a field of the batch is: one dimension, all its elements; to generate, those of new tokens. */
export function batchInput(graph: Graph, { name, dtype, shape }: BatchField, options: BuildOptions): Value {
  const sizes = { batchSize: options.batchSize, sequenceLength: tokensRead(options) };
  return graph.input(
    name,
    [shape.reduce<number>((count, size) => count * (typeof size === 'number' ? size : sizes[size]), 1)],
    dtype,
  );
}
