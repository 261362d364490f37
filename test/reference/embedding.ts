import { dequantize } from './quantize.js';
import { accumulated, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

/** Row ids[i] of the table. */
export function embedding({ table, ids }: { table: Tensor; ids: Tensor }) {
  const h = table.shape[1]!;
  const y = tensor([ids.data.length, h]);
  ids.data.forEach((id, i) => y.data.set(table.data.subarray(id * h, (id + 1) * h), i * h));
  return { y };
}

export function embeddingInt8(
  { ids, ...table }: { codes: Tensor; scales: Tensor; ids: Tensor },
  attributes: Numbers,
) {
  return embedding({ table: dequantize(table, attributes).y, ids });
}

/** Row t: the sum of the rows of dy whose id is t. `vocabulary` is the height of the table. */
export function embeddingBackward(
  { ids, dy, accumulator }: { ids: Tensor; dy: Tensor; accumulator?: Tensor },
  { accumulate, first = 0, vocabulary }: Numbers,
  round: Round,
) {
  const h = dy.shape[1]!;
  const dTable = tensor([vocabulary!, h]); // of all rows, or some
  ids.data.forEach((id, i) => {
    const row = id - first;
    if (row < 0 || row >= vocabulary!) return;
    for (let j = 0; j < h; j++)
      dTable.data[row * h + j] = round(dTable.data[row * h + j]! + dy.data[i * h + j]!);
  });
  return { dTable: accumulated(dTable, accumulator, accumulate!, round) };
}
