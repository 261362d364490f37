import { Graph, type Value } from '../../graph/index.js';

/**
 * The states that an update of a parameter names, in a graph of their own; codes are nothing once their scales are zero.
 * @param update builds it, for a parameter of that graph
 */
export function statesOf(
  { name, shape, dtype, parameter }: Value,
  update: (parameter: Value) => void,
): readonly Value[] {
  const graph = new Graph();
  update(graph.parameter(name, shape, dtype, parameter!));
  return graph.persistentValues.filter(
    ({ kind, dtype }) => kind === 'optimizerState' && (dtype === 'f32' || dtype === 'bf16'),
  );
}
