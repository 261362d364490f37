import { type BuildOptions, Graph, type Model, type Value } from '../graph/index.js';
import type { Program } from './program.js';

export interface Forward extends Program {
  /** The loss, or the logits of one row. */
  readonly result: Value;
}

/** Builds the forward pass of a model into a graph of its own. */
export function buildForward(name: string, model: Model, options: BuildOptions): Forward {
  const graph = new Graph();
  const result = model.build(graph, options);
  const outputs = new Map([[options.purpose === 'generate' ? 'logits' : 'loss', result]]);
  return { name, graph, nodes: [...graph.nodes], outputs, result };
}
