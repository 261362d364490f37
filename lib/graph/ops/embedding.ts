import { defineOp } from '../define-op.js';
import type { DType, Value } from '../value.js';
import type { OpDefinition } from '../op.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';

/** y[i] = table[ids[i]]: table (vocabulary, hidden), ids i32 (tokens); ids are checked on the host before a run. */
export function embedding(table: Value, ids: Value): Value {
  const [y] = callOp(embeddingOp, [table, ids]);
  return y!;
}

/** dTable[t] = sum of the rows of dy whose id is t; zero rows for ids that do not occur. */
export function embeddingBackward(
  ids: Value,
  dy: Value,
  vocabularySize: number,
  gradientDtype: DType,
): Value {
  const gradient = { shape: [vocabularySize, dy.shape[1]!], dtype: gradientDtype, kind: 'gradient' } as const;
  const [dTable] = callOp(embeddingBackwardOp, [ids, dy, undefined], {}, { dTable: gradient });
  return dTable!;
}

export const embeddingOp: OpDefinition = defineOp({
  name: 'embedding',
  family: 'layers',
  computes:
    'row `ids[i]` of the table. Ids are checked on the host before the run; a bad one that reaches a ' +
    'GPU is passed over and reported when the run ends',
  operands: 'table:T[v,h] ids:i32[n] -> y:T[n,h]',
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
});

export const embeddingBackwardOp: OpDefinition = defineOp({
  name: 'embeddingBackward',
  family: 'layers',
  computes:
    '`dTable[t] = sum of dy rows with id t`, summed in ascending token position, zero rows for absent ids',
  operands: 'ids:i32[n] dy:T[n,h] accumulator?:G[v,h] -> dTable=accumulator:G[v,h]',
  attributes: 'accumulate=0',
  recompute: 'costly',
  pure: true,
  flops: ({ inputs }) => firstInputElements({ inputs: inputs.slice(1) }),
});
