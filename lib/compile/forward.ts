import { compactError } from '../errors.js';
import {
  type BuildOptions,
  givesLoss,
  Graph,
  type Model,
  type Node,
  type Program,
  type Value,
} from '../graph/index.js';
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
  const nodes = [...graph.nodes];
  const built = { name, graph, nodes, outputs: resultsOf(resultName, result, nodes) };
  const rewritten = withoutDeadNodes(rewriteForward(built));
  return { ...rewritten, result: rewritten.outputs.get(resultName)! };
}

/** A result under its name, and what else its op gives out, as a loss what it was made of. */
export function resultsOf(name: string, result: Value, nodes: readonly Node[]): ReadonlyMap<string, Value> {
  const maker = nodes.find(({ outputs }) => outputs.includes(result));
  const others = maker?.outputs.filter((output) => output !== result && output.kind === 'output') ?? [];
  return new Map([[name, result], ...others.map((output) => [output.name, output] as const)]);
}

/** What a model or a method gives back, which may be anybody's. */
export function ownValue(graph: Graph, value: Value, from: string): Value {
  if ((value as Partial<Value> | undefined)?.graph === graph) return value;
  throw compactError('ERR_COMPACT_TYPE', `${from} gives no value of the graph that it was given`, {
    expected: 'a value of the graph',
    received: typeof value,
  });
}
