import type { DType, Value } from '../value.js';
import type { OpDefinition } from '../op.js';
import { firstInputElements, requireDtype, requireMatrix, requireShape } from './checks.js';

/** y[i] = table[ids[i]]: table (vocabulary, hidden), ids i32 (tokens); ids are checked on the host before a run. */
export function embedding(table: Value, ids: Value): Value {
  const [, hidden] = requireMatrix('embedding', table);
  requireDtype('embedding', ids, 'i32');
  requireShape('embedding', ids, [undefined]);
  const [y] = table.graph.apply(embeddingOp, [table, ids], {}, [
    { name: 'y', shape: [ids.shape[0]!, hidden], dtype: table.dtype },
  ]);
  return y!;
}

/** dTable[t] = sum of the rows of dy whose id is t; zero rows for ids that do not occur. */
export function embeddingBackward(
  ids: Value,
  dy: Value,
  vocabularySize: number,
  gradientDtype: DType,
): Value {
  const [tokens, hidden] = requireMatrix('embeddingBackward', dy);
  requireDtype('embeddingBackward', ids, 'i32');
  requireShape('embeddingBackward', ids, [tokens]);
  const [dTable] = dy.graph.apply(embeddingBackwardOp, [ids, dy, undefined], {}, [
    { name: 'dTable', shape: [vocabularySize, hidden], dtype: gradientDtype, kind: 'gradient' },
  ]);
  return dTable!;
}

export const embeddingOp: OpDefinition = {
  name: 'embedding',
  // No arithmetic, but it reads a table that an update may have changed by then; its output is not worth that care.
  recompute: 'costly',
  pure: true,
  flops: () => 0,
  gradient({ node, outputGradients, needs, gradientDtype }) {
    const [table, ids] = node.inputs as [Value, Value];
    return [
      needs(0) ? embeddingBackward(ids, outputGradients[0]!, table.shape[0]!, gradientDtype) : undefined,
      undefined,
    ];
  },
};

export const embeddingBackwardOp: OpDefinition = {
  name: 'embeddingBackward',
  recompute: 'costly',
  pure: true,
  accumulators: [[0, 2]],
  flops: ({ inputs }) => firstInputElements({ inputs: inputs.slice(1) }),
};
