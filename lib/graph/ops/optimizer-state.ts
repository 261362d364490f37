import type { Graph } from '../graph.js';
import { type DType, numElements, type Value } from '../value.js';

/** Elements of an 8-bit state that share a scale. */
export const stateBlock = 256;

/** How states of optimizers are held: numbers of a dtype, or codes of eight bits with a scale for each block of 256. */
export const stateFormats = ['f32', 'bf16', '8bit'] as const;
/** One of `stateFormats`. */
export type StateFormat = (typeof stateFormats)[number];

/** A tensor that an optimizer carries from step to step. */
export interface OptimizerState {
  /** F32, bf16, or u8: codes of the dynamic map (Dettmers et al. 2022), as shares of the scale of their block. */
  readonly values: Value;
  /** F32 (blocks): the largest magnitude of each block; present beside codes. */
  readonly scales?: Value;
}

/** A state of a graph, which starts as zero, by its name. */
export function optimizerState(
  graph: Graph,
  name: string,
  shape: readonly number[],
  format: StateFormat,
): OptimizerState {
  const state = (suffix: string, of: readonly number[], dtype: DType) =>
    graph.state(`${name}${suffix}`, of, dtype, 'optimizerState');
  if (format !== '8bit') return { values: state('', shape, format) };
  const blocks = Math.ceil(numElements(shape) / stateBlock);
  return { values: state('', shape, 'u8'), scales: state('Scales', [blocks], 'f32') };
}
