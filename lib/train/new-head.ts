import { compactError } from '../errors.js';
import { Graph, type Model } from '../graph/index.js';
import type { Method } from '../methods/index.js';
import type { BaseModel } from './base-model.js';

type Base = Pick<BaseModel, 'path' | 'newParameters'>;

/**
 * A head that weights to start from do not have has to be trained: frozen, it would stay as it was drawn.
 * @throws ERR_COMPACT_CONFIG_VALUE for a method that freezes it
 */
export function checkNewHead(model: Model, method: Method, base: Base | undefined): void {
  const names = base?.newParameters ?? [];
  if (names.length === 0) return;
  const graph = new Graph();
  model.build(graph, { batchSize: 1, sequenceLength: 1, dtype: 'f32', purpose: 'train' });
  const frozen = graph.parameters.find(
    (parameter) => names.includes(parameter.name) && method.isTrained?.(parameter) === false,
  );
  if (frozen === undefined) return;
  throw compactError('ERR_COMPACT_CONFIG_VALUE', `${method.name} would leave the head as it is drawn`, {
    op: 'method',
    expected: `a method that trains ${frozen.name}, which ${base!.path} does not have`,
    received: method.name,
    remedy: "Train with 'compact' or 'dense', or start from a model that has this head",
  });
}

/** Tells of a head that is new. */
export function headWarnings(base: Base | undefined): readonly string[] {
  const [first, ...more] = base?.newParameters ?? [];
  if (first === undefined) return [];
  const names = more.length === 0 ? first : `${first} and ${more.length} more`;
  return [
    `The head is new, as ${base!.path} does not have it: ${names} start from random numbers or constants.`,
  ];
}
