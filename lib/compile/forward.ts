import { compactError } from '../errors.js';
import { type BuildOptions, givesLoss, Graph, type Model, type Program, type Value } from '../graph/index.js';
import type { Method } from '../methods/index.js';
import { withoutDeadNodes } from './dead-nodes.js';

export interface Forward extends Program {
  /** The loss, or logits. */
  readonly result: Value;
}

/** Builds the forward pass of a model into a graph of its own, as a method rewrites it. */
export function buildForward(
  name: string,
  model: Model,
  options: BuildOptions,
  { rewriteForward = (forward) => forward }: Pick<Method, 'rewriteForward'> = {},
): Forward {
  const graph = new Graph();
  const result = ownValue(graph, model.build(graph, options), `build() of the model ${model.name}`);
  const resultName = givesLoss(options) ? 'loss' : 'logits';
  const built = { name, graph, nodes: [...graph.nodes], outputs: new Map([[resultName, result]]) };
  const rewritten = withoutDeadNodes(rewriteForward(built));
  return { ...rewritten, result: rewritten.outputs.get(resultName)! };
}

/** What a model or a method gives back, which may be anybody's. */
export function ownValue(graph: Graph, value: Value, from: string): Value {
  if ((value as Partial<Value> | undefined)?.graph === graph) return value;
  throw compactError('ERR_COMPACT_TYPE', `${from} gives no value of the graph that it was given`, {
    expected: 'a value of the graph',
    received: typeof value,
  });
}
