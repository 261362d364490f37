import { inDtype } from './bf16.js';
import { product } from './product.js';
import { dequantize } from './quantize.js';
import { accumulated, mapElements, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

/** Loss and gradient of logits (n, c): lossScale times the sum of lse - logit of the target. */
export function crossEntropyBackward(
  { logits, targets }: { logits: Tensor; targets: Tensor },
  { lossScale, ignoreIndex }: Numbers,
  round: Round,
) {
  const [n, c] = logits.shape as [number, number];
  const dLogits = tensor([n, c]);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const target = targets.data[i]!;
    if (target === ignoreIndex) continue;
    const row = rowOf(logits, i);
    const lse = logSumExp(row, round);
    loss += round(lse - row[target]!); // tokens are summed in double precision
    for (let j = 0; j < c; j++) {
      const probability = round(Math.exp(round(row[j]! - lse)));
      dLogits.data[i * c + j] = round(lossScale! * round(probability - (j === target ? 1 : 0)));
    }
  }
  return { loss: tensor([1], [round(lossScale! * loss)]), dLogits };
}

const rowOf = ({ data, shape }: Tensor, row: number): Float64Array =>
  data.subarray(row * shape[1]!, (row + 1) * shape[1]!);

function logSumExp(row: Float64Array, round: Round): number {
  const largest = row.reduce((a, b) => Math.max(a, b));
  let total = 0;
  for (const value of row) total = round(total + round(Math.exp(round(value - largest))));
  return round(largest + round(Math.log(total)));
}

export function crossEntropy(inputs: { logits: Tensor; targets: Tensor }, attributes: Numbers, round: Round) {
  return { loss: crossEntropyBackward(inputs, attributes, round).loss };
}

interface LinearInputs {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly targets: Tensor;
  readonly accumulator?: Tensor;
}

/** The same for logits = x weight^T, with the gradients of x and weight. The chunk size changes nothing but memory. */
export function linearCrossEntropyBackward(
  { x, weight, targets, accumulator }: LinearInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) {
  const logits = product(x, weight, round, false, true);
  const { loss, dLogits: gradients } = crossEntropyBackward({ logits, targets }, attributes, round);
  const dLogits = mapElements(gradients, store);
  const dx = product(dLogits, weight, round);
  const dWeight = product(dLogits, x, round, true);
  return { loss, dx, dWeight: accumulated(dWeight, accumulator, attributes.accumulate!, round) };
}

/** The same without the gradient of the weight, with the log-sum-exp of each row that counts. */
export function linearCrossEntropyInputBackward(
  inputs: LinearInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) {
  const { loss, dx } = linearCrossEntropyBackward(inputs, { accumulate: 0, ...attributes }, round, store);
  const { x, weight, targets } = inputs;
  const logits = product(x, weight, round, false, true);
  const lse = mapElements(targets, (target, i) =>
    target === attributes.ignoreIndex ? 0 : logSumExp(rowOf(logits, i), round),
  );
  return { loss, dx, lse };
}

/** The gradient of some rows of the weight, from those rows and the log-sum-exp over all. */
export function linearCrossEntropyRowsBackward(
  { x, weight, targets, lse }: LinearInputs & { readonly lse: Tensor },
  { first, lossScale, ignoreIndex }: Numbers,
  round: Round,
  store: Round,
) {
  const logits = product(x, weight, round, false, true);
  const [rows] = weight.shape as [number];
  const dLogits = mapElements(logits, (logit, i) => {
    const [token, row] = [Math.floor(i / rows), i % rows];
    const target = targets.data[token]!;
    if (target === ignoreIndex) return 0;
    const probability = round(Math.exp(round(logit - lse.data[token]!)));
    return store(round(lossScale! * round(probability - (first! + row === target ? 1 : 0))));
  });
  return { dWeight: product(dLogits, x, round, true) };
}

export function linearCrossEntropy(inputs: LinearInputs, attributes: Numbers, round: Round) {
  const { x, weight, targets } = inputs;
  const logits = product(x, weight, round, false, true);
  return crossEntropy({ logits, targets }, attributes, round);
}

interface Int8Inputs {
  readonly x: Tensor;
  readonly codes: Tensor;
  readonly scales: Tensor;
  readonly targets: Tensor;
}

/** With what the codes stand for in the dtype of x. */
const decoded = ({ x, targets, ...codes }: Int8Inputs, attributes: Numbers): LinearInputs => ({
  x,
  targets,
  weight: inDtype(dequantize(codes, attributes).y, attributes.elementBytes!),
});

export const linearCrossEntropyInt8 = (inputs: Int8Inputs, attributes: Numbers, round: Round) =>
  linearCrossEntropy(decoded(inputs, attributes), attributes, round);

export const linearCrossEntropyInt8Backward = (
  inputs: Int8Inputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) => linearCrossEntropyInputBackward(decoded(inputs, attributes), attributes, round, store);
