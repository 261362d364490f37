import { Graph, type Program, type Value, gradientNorm, sumOfSquares } from '../graph/index.js';
import type { StepRules } from '../methods/index.js';
import { type Differentiated, gradientName } from './differentiate.js';
import { gradientSquares, squaredGradients } from './gradient-squares.js';

/** Appends the update of every parameter that has a gradient: a whole optimizer step in one entry. */
export function applyUpdates({ gradients, ...program }: Differentiated, rules: StepRules): Program {
  const { graph } = program;
  const { nodes } = graph.collect(() => {
    for (const [parameter, gradient] of gradients) {
      graph.at(parameter.layer, 'update', () =>
        rules.update(graph, parameter, gradient, { gradientScale: undefined }),
      );
    }
  });
  return { ...program, nodes: [...program.nodes, ...nodes] };
}

/**
 * The second half of an optimizer step whose gradients live across micro-batches: an entry of its own that reads the
 * gradients of the window, clips them by their global norm when `maxGradNorm` is positive, and updates. It counts on
 * the squares of the gradients that are products (`squareGradients`).
 */
export function buildUpdate(
  name: string,
  differentiated: Pick<Differentiated, 'gradients' | 'nodes'>,
  rules: StepRules,
  maxGradNorm: number,
): Program {
  const { gradients } = differentiated;
  const squared = squaredGradients(differentiated);
  const graph = new Graph();
  const outputs = new Map<string, Value>();
  const windows = [...gradients].map(([parameter, gradient]) =>
    graph.at(parameter.layer, 'update', () => ({
      parameter: persistentCopy(graph, parameter),
      gradient: graph.state(gradientName(parameter), gradient.shape, gradient.dtype, 'gradient'),
      isSquared: squared.has(gradient),
    })),
  );
  let gradientScale: Value | undefined;
  if (maxGradNorm > 0) {
    graph.at('clipping', 'update', () => {
      let squares = gradientSquares(graph, gradients);
      for (const [index, window] of windows.entries())
        if (!window.isSquared) squares = sumOfSquares(window.gradient, squares, index);
      const { norm, scale } = gradientNorm(squares, maxGradNorm);
      outputs.set('gradNorm', norm);
      gradientScale = scale;
    });
  }
  for (const { parameter, gradient } of windows) {
    graph.at(parameter.layer, 'update', () => rules.update(graph, parameter, gradient, { gradientScale }));
  }
  return { name, graph, nodes: graph.nodes, outputs };
}

/** The same parameter in another graph; it is the same memory because it has the same name. */
export function persistentCopy(graph: Graph, parameter: Value): Value {
  const { name, shape, dtype, layer } = parameter;
  return graph.at(layer, 'update', () => graph.parameter(name, shape, dtype, parameter.parameter!));
}
