import { compactError } from '../errors.js';
import { type BuildOptions, Graph, type Model, type Value } from '../graph/index.js';
import type { Program } from './program.js';

export interface Forward extends Program {
  /** The loss, or the logits of one row. */
  readonly result: Value;
}

/** Builds the forward pass of a model into a graph of its own. */
export function buildForward(name: string, model: Model, options: BuildOptions): Forward {
  const graph = new Graph();
  const result = ownValue(graph, model.build(graph, options), `build() of the model ${model.name}`);
  const outputs = new Map([[options.purpose === 'generate' ? 'logits' : 'loss', result]]);
  return { name, graph, nodes: [...graph.nodes], outputs, result };
}

/** What a model or a method gives back, which may be anybody's. */
export function ownValue(graph: Graph, value: Value, from: string): Value {
  if ((value as Partial<Value> | undefined)?.graph === graph) return value;
  throw compactError('ERR_COMPACT_TYPE', `${from} gives no value of the graph that it was given`, {
    expected: 'a value of the graph',
    received: typeof value,
  });
}
