import { type Graph, type Value, matmulOp, withSquares } from '../graph/index.js';
import type { Differentiated } from './differentiate.js';
import { producersOf } from './program.js';

/**
 * The squares of all gradients of a window, f32 (gradients), in their order. A value between the two halves of an
 * optimizer step: each window writes all of it before it is read, so a checkpoint has no need of it.
 */
export const gradientSquares = (graph: Graph, gradients: Differentiated['gradients']): Value =>
  graph.at('clipping', 'update', () => graph.state('gradientSquares', [gradients.size], 'f32', 'gradient'));

/** Whether the op that makes a gradient sums up its squares on the way. */
export const isSquared = (gradient: Value): boolean => gradient.producer?.op === matmulOp.name;

/**
 * Lets the products that make gradients of a window sum up the squares of what they store, for clipping. Each
 * micro-batch overwrites the squares of the one before, whose gradients it has added its own to.
 */
export function squareGradients(program: Differentiated): Differentiated {
  const squares = gradientSquares(program.graph, program.gradients);
  const producers = producersOf(program.nodes);
  const replaced = new Map(
    [...program.gradients].flatMap(([, gradient], index) => {
      if (!isSquared(gradient)) return [];
      const product = producers.get(gradient)!;
      const squared = program.graph.at(product.layer, product.phase, () =>
        withSquares(product, squares, index),
      );
      return [[product, squared] as const];
    }),
  );
  return {
    ...program,
    nodes: program.nodes.map((node) => replaced.get(node)?.producer ?? node),
    gradients: new Map(
      [...program.gradients].map(([parameter, gradient]) => [
        parameter,
        replaced.get(producers.get(gradient)!) ?? gradient,
      ]),
    ),
  };
}
