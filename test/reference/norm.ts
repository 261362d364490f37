import { roundToBf16 } from './bf16.js';
import { accumulated, mapElements, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

const sum = (count: number, round: Round, term: (index: number) => number): number => {
  let total = 0;
  for (let i = 0; i < count; i++) total = round(total + round(term(i)));
  return total;
};

/** y = x rstd (weight + weightOffset), rstd = 1 / sqrt(mean(x^2) + epsilon) (Zhang and Sennrich, 2019). */
export function rmsNorm(
  { x, weight }: { x: Tensor; weight: Tensor },
  { epsilon, weightOffset = 0 }: Numbers,
  round: Round,
) {
  const [n, h] = x.shape as [number, number];
  const y = tensor([n, h]);
  const rstd = tensor([n]);
  for (let i = 0; i < n; i++) {
    const row = x.data.subarray(i * h, (i + 1) * h);
    const meanSquare = round(sum(h, round, (j) => row[j]! * row[j]!) / h);
    const r = round(1 / round(Math.sqrt(round(meanSquare + epsilon!))));
    rstd.data[i] = r;
    for (let j = 0; j < h; j++)
      y.data[i * h + j] = round(round(row[j]! * r) * round(weight.data[j]! + weightOffset));
  }
  return { y, rstd };
}

/** sum = a + b, as it is left after storing it in `elementBytes` (2: bf16, else fp32), and the rmsNorm of that. */
export function addRmsNorm(
  { a, b, weight }: { a: Tensor; b: Tensor; weight: Tensor },
  { elementBytes, ...attributes }: Numbers,
  round: Round,
) {
  const store = elementBytes === 2 ? roundToBf16 : Math.fround;
  const sum = mapElements(a, (value, i) => store(round(value + b.data[i]!)));
  return { sum, ...rmsNorm({ x: sum, weight }, attributes, round) };
}

interface RmsNormGradientInputs {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly rstd: Tensor;
  readonly dy: Tensor;
  readonly residualGradient?: Tensor;
  readonly accumulator?: Tensor;
}

export function rmsNormBackward(
  { x, weight, rstd, dy, residualGradient, accumulator }: RmsNormGradientInputs,
  { accumulate, weightOffset = 0 }: Numbers,
  round: Round,
) {
  const [n, h] = x.shape as [number, number];
  const dx = tensor([n, h]);
  const dWeight = tensor([h]);
  for (let i = 0; i < n; i++) {
    const r = rstd.data[i]!;
    const dyw = (j: number) => round(dy.data[i * h + j]! * round(weight.data[j]! + weightOffset));
    const mean = round(sum(h, round, (j) => dyw(j) * x.data[i * h + j]!) / h);
    const pull = round(round(r * r) * mean);
    for (let j = 0; j < h; j++) {
      const xj = x.data[i * h + j]!;
      const direct = round(r * round(dyw(j) - round(xj * pull)));
      dx.data[i * h + j] = round(direct + (residualGradient?.data[i * h + j] ?? 0));
      dWeight.data[j] = round(dWeight.data[j]! + round(dy.data[i * h + j]! * round(xj * r)));
    }
  }
  return { dx, dWeight: accumulated(dWeight, accumulator, accumulate!, round) };
}

/** y = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + epsilon) (Ba et al., 2016). */
export function layerNorm(
  { x, weight, bias }: { x: Tensor; weight: Tensor; bias: Tensor },
  { epsilon }: Numbers,
  round: Round,
) {
  const [n, h] = x.shape as [number, number];
  const y = tensor([n, h]);
  const mean = tensor([n]);
  const rstd = tensor([n]);
  for (let i = 0; i < n; i++) {
    const row = x.data.subarray(i * h, (i + 1) * h);
    const m = round(sum(h, round, (j) => row[j]!) / h);
    const centred = (j: number) => round(row[j]! - m);
    const variance = round(sum(h, round, (j) => centred(j) * centred(j)) / h);
    const r = round(1 / round(Math.sqrt(round(variance + epsilon!))));
    mean.data[i] = m;
    rstd.data[i] = r;
    for (let j = 0; j < h; j++)
      y.data[i * h + j] = round(round(round(centred(j) * r) * weight.data[j]!) + bias.data[j]!);
  }
  return { y, mean, rstd };
}

interface LayerNormGradientInputs {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly mean: Tensor;
  readonly rstd: Tensor;
  readonly dy: Tensor;
  readonly accumulator?: Tensor;
  readonly biasAccumulator?: Tensor;
}

export function layerNormBackward(
  { x, weight, mean, rstd, dy, accumulator, biasAccumulator }: LayerNormGradientInputs,
  { accumulate }: Numbers,
  round: Round,
) {
  const [n, h] = x.shape as [number, number];
  const dx = tensor([n, h]);
  const dWeight = tensor([h]);
  const dBias = tensor([h]);
  for (let i = 0; i < n; i++) {
    const r = rstd.data[i]!;
    const normed = (j: number) => round(round(x.data[i * h + j]! - mean.data[i]!) * r);
    const dyw = (j: number) => round(dy.data[i * h + j]! * weight.data[j]!);
    const meanDyw = round(sum(h, round, dyw) / h);
    const meanDywNormed = round(sum(h, round, (j) => dyw(j) * normed(j)) / h);
    for (let j = 0; j < h; j++) {
      const inner = round(round(dyw(j) - meanDyw) - round(normed(j) * meanDywNormed));
      dx.data[i * h + j] = round(r * inner);
      dWeight.data[j] = round(dWeight.data[j]! + round(dy.data[i * h + j]! * normed(j)));
      dBias.data[j] = round(dBias.data[j]! + dy.data[i * h + j]!);
    }
  }
  return {
    dx,
    dWeight: accumulated(dWeight, accumulator, accumulate!, round),
    dBias: accumulated(dBias, biasAccumulator, accumulate!, round),
  };
}
