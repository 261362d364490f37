import { type Graph, type Node, type Value, definitionOf, producersOf } from '../graph/index.js';
import type { Differentiated } from './differentiate.js';

/**
 * The squares of all gradients of a window, f32 (gradients), in their order. A value between the two halves of an
 * optimizer step: each window writes all of it before it is read, so a checkpoint has no need of it.
 */
export const gradientSquares = (graph: Graph, gradients: Differentiated['gradients']): Value =>
  graph.at('clipping', 'update', () =>
    graph.state(`gradientSquares[${gradients.size}]`, [gradients.size], 'f32', 'gradient'),
  );

/** The gradients whose ops sum up their squares on the way. */
export function squaredGradients({
  nodes,
  gradients,
}: Pick<Differentiated, 'nodes' | 'gradients'>): ReadonlySet<Value> {
  const producers = producersOf(nodes);
  const isSquared = (gradient: Value) => {
    const producer = producers.get(gradient);
    return producer !== undefined && definitionOf(producer).withSquares !== undefined;
  };
  return new Set([...gradients.values()].filter(isSquared));
}

/**
 * Lets the products that make gradients of a window sum up the squares of what they store, for clipping. Each
 * micro-batch overwrites the squares of the one before, whose gradients it has added its own to.
 */
export function squareGradients(program: Differentiated): Differentiated {
  const squares = gradientSquares(program.graph, program.gradients);
  const producers = producersOf(program.nodes);
  const squared = squaredGradients(program);
  const replaced = new Map<Node, Node>();
  const gradients = [...program.gradients].map(([parameter, gradient], index): [Value, Value] => {
    if (!squared.has(gradient)) return [parameter, gradient];
    const product = producers.get(gradient)!;
    const { result, nodes } = program.graph.collect(() =>
      program.graph.at(product.layer, product.phase, () =>
        definitionOf(product).withSquares!(product, squares, index),
      ),
    );
    replaced.set(product, nodes[0]!);
    return [parameter, result];
  });
  return {
    ...program,
    nodes: program.nodes.map((node) => replaced.get(node) ?? node),
    gradients: new Map(gradients),
  };
}
