import { inDtype } from './bf16.js';
import { product } from './product.js';
import { dequantize } from './quantize.js';
import { softCapped, softCapSlope } from './soft-cap.js';
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

/** Loss and gradient of predictions whose target is not NaN. */
export function squaredErrorBackward(
  { predictions, targets }: { predictions: Tensor; targets: Tensor },
  { lossScale }: Numbers,
  round: Round,
) {
  const differences = mapElements(predictions, (prediction, i) => {
    const target = targets.data[i]!;
    return Number.isNaN(target) ? 0 : round(prediction - target);
  });
  // Summed in double precision.
  const loss = differences.data.reduce((sum, difference) => sum + difference ** 2, 0);
  return {
    loss: tensor([1], [round(lossScale! * loss)]),
    dPredictions: mapElements(differences, (difference) => round(round(2 * lossScale!) * difference)),
  };
}

export const squaredError = (
  inputs: { predictions: Tensor; targets: Tensor },
  attributes: Numbers,
  round: Round,
) => ({ loss: squaredErrorBackward(inputs, attributes, round).loss });

interface LinearInputs {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly targets: Tensor;
  readonly accumulator?: Tensor;
}

/** x weight^T, capped where `softCap` is not 0. */
const cappedLogits = (
  { x, weight }: Pick<LinearInputs, 'x' | 'weight'>,
  { softCap }: Numbers,
  round: Round,
) => mapElements(product(x, weight, round, false, true), (logit) => softCapped(logit, softCap, round));

/** The same for logits = x weight^T, with the gradients of x and weight. The chunk size changes nothing but memory. */
export function linearCrossEntropyBackward(
  { x, weight, targets, accumulator }: LinearInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) {
  const logits = cappedLogits({ x, weight }, attributes, round);
  const { loss, dLogits: gradients } = crossEntropyBackward({ logits, targets }, attributes, round);
  const dLogits = mapElements(gradients, (gradient, i) =>
    store(round(gradient * softCapSlope(logits.data[i]!, attributes.softCap, round))),
  );
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
  const { targets } = inputs;
  const logits = cappedLogits(inputs, attributes, round);
  const lse = mapElements(targets, (target, i) =>
    target === attributes.ignoreIndex ? 0 : logSumExp(rowOf(logits, i), round),
  );
  return { loss, dx, lse };
}

/** The gradient of some rows of the weight, from those rows and the log-sum-exp over all. */
export function linearCrossEntropyRowsBackward(
  { x, weight, targets, lse }: LinearInputs & { readonly lse: Tensor },
  { first, lossScale, ignoreIndex, softCap }: Numbers,
  round: Round,
  store: Round,
) {
  const logits = cappedLogits({ x, weight }, { softCap: softCap! }, round);
  const [rows] = weight.shape as [number];
  const dLogits = mapElements(logits, (logit, i) => {
    const [token, row] = [Math.floor(i / rows), i % rows];
    const target = targets.data[token]!;
    if (target === ignoreIndex) return 0;
    const probability = round(Math.exp(round(logit - lse.data[token]!)));
    const gradient = round(lossScale! * round(probability - (first! + row === target ? 1 : 0)));
    return store(round(gradient * softCapSlope(logit, softCap, round)));
  });
  return { dWeight: product(dLogits, x, round, true) };
}

export function linearCrossEntropy(inputs: LinearInputs, attributes: Numbers, round: Round) {
  const logits = cappedLogits(inputs, attributes, round);
  return crossEntropy({ logits, targets: inputs.targets }, attributes, round);
}

/** Log-probabilities of the targets of sequences, and the log-sum-exp of each token that counts. */
export function linearLogProbabilities(
  { x, weight, targets }: LinearInputs,
  { sequenceLength, ignoreIndex, softCap }: Numbers,
  round: Round,
) {
  const logits = cappedLogits({ x, weight }, { softCap: softCap! }, round);
  const logProbabilities = tensor([targets.data.length / sequenceLength!]);
  const lse = mapElements(targets, (target, i) => {
    if (target === ignoreIndex) return 0;
    const row = rowOf(logits, i);
    const total = logSumExp(row, round);
    // Tokens are summed in double precision.
    logProbabilities.data[Math.floor(i / sequenceLength!)]! += round(row[target]! - total);
    return total;
  });
  return { logProbabilities: mapElements(logProbabilities, round), lse };
}

interface LogProbabilityInputs extends LinearInputs {
  readonly lse: Tensor;
  readonly dLogProbabilities: Tensor;
}

/** Gradients of logits of some rows of the weight, from `first` on. */
function logProbabilityGradients(
  { x, weight, targets, lse, dLogProbabilities }: LogProbabilityInputs,
  { sequenceLength, first = 0, ignoreIndex, softCap }: Numbers,
  round: Round,
  store: Round,
): Tensor {
  const [rows] = weight.shape as [number];
  return mapElements(cappedLogits({ x, weight }, { softCap: softCap! }, round), (logit, i) => {
    const [token, row] = [Math.floor(i / rows), i % rows];
    const target = targets.data[token]!;
    if (target === ignoreIndex) return 0;
    const probability = round(Math.exp(round(logit - lse.data[token]!)));
    const ofSequence = dLogProbabilities.data[Math.floor(token / sequenceLength!)]!;
    const gradient = round(ofSequence * round((first + row === target ? 1 : 0) - probability));
    return store(round(gradient * softCapSlope(logit, softCap, round)));
  });
}

export const linearLogProbabilitiesInputBackward = (
  inputs: LogProbabilityInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) => ({ dx: product(logProbabilityGradients(inputs, attributes, round, store), inputs.weight, round) });

export function linearLogProbabilitiesWeightBackward(
  inputs: LogProbabilityInputs,
  attributes: Numbers,
  round: Round,
  store: Round,
) {
  const dLogits = logProbabilityGradients(inputs, attributes, round, store);
  const dWeight = product(dLogits, inputs.x, round, true);
  return { dWeight: accumulated(dWeight, inputs.accumulator, attributes.accumulate!, round) };
}

/** -log sigmoid(z), of which exp(-z) alone would leave the range of single precision. */
const minusLogSigmoid = (z: number, round: Round): number =>
  round(Math.max(-z, 0) + round(Math.log1p(round(Math.exp(-Math.abs(z))))));

/** Eq. 7 of Rafailov et al. 2023: sums over pairs of the logarithm of a sigmoid. */
export function preferenceLossBackward(
  { logProbabilities, reference }: { logProbabilities: Tensor; reference: Tensor },
  { beta, labelSmoothing, lossScale }: Numbers,
  round: Round,
) {
  const counts = (i: number) => ![i - (i % 2), i - (i % 2) + 1].some((j) => Number.isNaN(reference.data[j]!));
  const logRatios = mapElements(logProbabilities, (value, i) =>
    counts(i) ? round(value - reference.data[i]!) : 0,
  );
  const dLogProbabilities = tensor(logProbabilities.shape);
  let loss = 0;
  for (let i = 0; i < logProbabilities.data.length; i += 2) {
    if (!counts(i)) continue;
    const z = round(beta! * round(logRatios.data[i]! - logRatios.data[i + 1]!));
    const [right, wrong] = [1, -1].map((sign) => round(1 / round(1 + round(Math.exp(-sign * z)))));
    loss += round((1 - labelSmoothing!) * minusLogSigmoid(z, round));
    loss += round(labelSmoothing! * minusLogSigmoid(-z, round));
    const slope = round(labelSmoothing! * right!) - round((1 - labelSmoothing!) * wrong!);
    dLogProbabilities.data[i] = round(round(lossScale! * beta!) * round(slope));
    dLogProbabilities.data[i + 1] = -dLogProbabilities.data[i]!;
  }
  return { loss: tensor([1], [round(lossScale! * loss)]), logRatios, dLogProbabilities };
}

export function preferenceLoss(
  inputs: { logProbabilities: Tensor; reference: Tensor },
  attributes: Numbers,
  round: Round,
) {
  const { loss, logRatios } = preferenceLossBackward(inputs, attributes, round);
  return { loss, logRatios };
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
