import { defineOp } from '../define-op.js';
import { numElements, type DType, type Value } from '../value.js';
import type { Attributes } from '../node.js';
import type { OpDefinition } from '../op.js';
import { callOp } from './call-op.js';
import { firstInputElements } from './checks.js';
import { requireGroups, type Quantized } from './quantize.js';

/** y[i] = table[ids[i]]: table (vocabulary, hidden), ids i32 (tokens); ids are checked on the host before a run. */
export function embedding(table: Value, ids: Value): Value {
  const [y] = callOp(embeddingOp, [table, ids]);
  return y!;
}

/** The same of a table in int8 (`quantize`), in `dtype`; its group size is a power of two. Such a table is not trained. */
export function embeddingInt8(
  { codes, scales }: Quantized,
  groupSize: number,
  ids: Value,
  dtype: DType,
): Value {
  requireGroups('embeddingInt8', { codes, scales }, groupSize);
  const [y] = callOp(embeddingInt8Op, [codes, scales, ids], { groupSize }, { y: { dtype } });
  return y!;
}

/**
 * dTable[t] = sum of the rows of dy whose id is t; zero rows for ids that do not occur.
 * @param rows of the table, where not all: the gradient is (count, hidden)
 */
export function embeddingBackward(
  ids: Value,
  dy: Value,
  vocabularySize: number,
  gradientDtype: DType,
  rows?: { readonly first: number; readonly count: number },
): Value {
  const { first = 0, count = vocabularySize } = rows ?? {};
  const attributes: Attributes = rows === undefined ? {} : { first, numIds: vocabularySize };
  const gradient = { shape: [count, dy.shape[1]!], dtype: gradientDtype, kind: 'gradient' } as const;
  const [dTable] = callOp(embeddingBackwardOp, [ids, dy, undefined], attributes, { dTable: gradient });
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
  decoding: {
    weight: 0,
    int8: ({ inputs: [, ids], outputs: [y] }, table, groupSize) =>
      embeddingInt8(table, groupSize, ids!, y!.dtype),
  },
  gradient({ node, outputGradients, needs, gradientDtype }) {
    const [table, ids] = node.inputs as [Value, Value];
    return [
      needs(0) ? embeddingBackward(ids, outputGradients[0]!, table.shape[0]!, gradientDtype) : undefined,
      undefined,
    ];
  },
});

export const embeddingInt8Op: OpDefinition = defineOp({
  name: 'embeddingInt8',
  family: 'layers',
  computes:
    'the same of what `dequantize` makes of the codes in the dtype of `y`; `groupSize` a power of two',
  operands: 'codes:i8[v,h] scales:f32[g] ids:i32[n] -> y:T[n,h]',
  attributes: 'groupSize',
  recompute: 'costly',
  pure: true,
  flops: (node) => numElements(node.outputs[0]!.shape),
});

export const embeddingBackwardOp: OpDefinition = defineOp({
  name: 'embeddingBackward',
  family: 'layers',
  computes:
    '`dTable[t] = sum of dy rows with id first + t`, summed in ascending token position, zero rows for absent ids. ' +
    'Ids are below `numIds`, or below v where that is 0; those of rows that dTable does not hold are left out',
  operands: 'ids:i32[n] dy:T[n,h] accumulator?:G[v,h] -> dTable=accumulator:G[v,h]',
  attributes: 'first=0 numIds=0 accumulate=0',
  identifiedBy: 'first',
  recompute: 'costly',
  pure: true,
  flops: ({ inputs }) => firstInputElements({ inputs: inputs.slice(1) }),
  gradientByRows({ inputs, outputs }) {
    const [ids, dy, accumulator] = inputs as [Value, Value, Value?];
    if (accumulator !== undefined) return undefined;
    const { shape, dtype } = outputs[0]!;
    return {
      others: [],
      rows: (first, count) => embeddingBackward(ids, dy, shape[0]!, dtype, { first, count }),
    };
  },
});
