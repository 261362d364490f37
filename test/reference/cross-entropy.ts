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
    const row = logits.data.subarray(i * c, (i + 1) * c);
    const largest = row.reduce((a, b) => Math.max(a, b));
    let total = 0;
    for (const value of row) total = round(total + round(Math.exp(round(value - largest))));
    const lse = round(largest + round(Math.log(total)));
    loss += round(lse - row[target]!); // tokens are summed in double precision
    for (let j = 0; j < c; j++) {
      const probability = round(Math.exp(round(row[j]! - lse)));
      dLogits.data[i * c + j] = round(lossScale! * round(probability - (j === target ? 1 : 0)));
    }
  }
  return { loss: tensor([1], [round(lossScale! * loss)]), dLogits };
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

/** The same for logits = x weight, with the gradients of x and weight. The chunk size changes nothing but memory. */
export function linearCrossEntropyBackward(
  { x, weight, targets, accumulator }: LinearInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) {
  const isTransposed = attributes.transposeWeight === 1;
  const logits = product(x, weight, round, false, isTransposed);
  const { loss, dLogits: gradients } = crossEntropyBackward({ logits, targets }, attributes, round);
  const dLogits = mapElements(gradients, store);
  const dx = product(dLogits, weight, round, false, !isTransposed);
  const dWeight = isTransposed ? product(dLogits, x, round, true) : product(x, dLogits, round, true);
  return { loss, dx, dWeight: accumulated(dWeight, accumulator, attributes.accumulate!, round) };
}

/** The same without the gradient of the weight. */
export function linearCrossEntropyInputBackward(
  inputs: LinearInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) {
  const { loss, dx } = linearCrossEntropyBackward(inputs, { accumulate: 0, ...attributes }, round, store);
  return { loss, dx };
}

export function linearCrossEntropy(inputs: LinearInputs, attributes: Numbers, round: Round) {
  const { x, weight, targets } = inputs;
  const logits = product(x, weight, round, false, attributes.transposeWeight === 1);
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
