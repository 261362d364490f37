/** Adam (https://arxiv.org/abs/1412.6980), AdamW (https://arxiv.org/abs/1711.05101), SGD, and clipping by norm. */
import { type StochasticRounding, stochasticallyRounded } from './stochastic-rounding.js';
import { mapElements, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

interface AdamInputs {
  readonly gradient: Tensor;
  readonly expAvg: Tensor;
  readonly expAvgSq: Tensor;
  readonly gradientScale?: Tensor;
}

export function adamDirection(
  { gradient, expAvg, expAvgSq, gradientScale }: AdamInputs,
  { beta1, beta2, epsilon, firstMomentStep, secondMomentStep }: Numbers,
  round: Round,
) {
  const scale = gradientScale?.data[0] ?? 1;
  const correction1 = round(1 - beta1! ** firstMomentStep!);
  const correction2 = round(1 - beta2! ** secondMomentStep!);
  const g = mapElements(gradient, (value) => round(value * scale));
  const m = mapElements(expAvg, (old, i) => round(round(beta1! * old) + round((1 - beta1!) * g.data[i]!)));
  const v = mapElements(expAvgSq, (old, i) =>
    round(round(beta2! * old) + round((1 - beta2!) * round(g.data[i]! * g.data[i]!))),
  );
  const direction = mapElements(m, (first, i) =>
    round(round(first / correction1) / round(round(Math.sqrt(round(v.data[i]! / correction2))) + epsilon!)),
  );
  return { direction, expAvg: m, expAvgSq: v };
}

/** w (1 - learningRate weightDecay) - step, with decoupled decay. */
const decayed = (weight: Tensor, { learningRate, weightDecay }: Numbers, round: Round): Tensor => {
  const keep = round(1 - round(learningRate! * weightDecay!));
  return mapElements(weight, (w) => round(w * keep));
};

export function adamW(
  { weight, ...inputs }: AdamInputs & { readonly weight: Tensor },
  attributes: Numbers & StochasticRounding,
  round: Round,
) {
  const steps = { firstMomentStep: attributes.step, secondMomentStep: attributes.step };
  const { direction, expAvg, expAvgSq } = adamDirection(inputs, { ...attributes, ...steps }, round);
  const rate = round(attributes.learningRate! * attributes.updateScale!);
  const updated = mapElements(decayed(weight, attributes, round), (w, i) =>
    round(w - round(rate * direction.data[i]!)),
  );
  return { weight: stochasticallyRounded(updated, attributes), expAvg, expAvgSq };
}

interface WeightUpdateInputs {
  readonly weight: Tensor;
  readonly direction: Tensor;
  readonly gradientScale?: Tensor;
}

export function weightUpdate(
  { weight, direction, gradientScale }: WeightUpdateInputs,
  attributes: Numbers & StochasticRounding,
  round: Round,
) {
  const rate = round(attributes.learningRate! * attributes.updateScale!);
  const scale = gradientScale?.data[0] ?? 1;
  const updated = mapElements(decayed(weight, attributes, round), (w, i) =>
    round(w - round(rate * round(direction.data[i]! * scale))),
  );
  return { weight: stochasticallyRounded(updated, attributes) };
}

interface SgdInputs {
  readonly weight: Tensor;
  readonly gradient: Tensor;
  readonly momentum?: Tensor;
  readonly gradientScale?: Tensor;
}

export function sgd(
  { weight, gradient, momentum, gradientScale }: SgdInputs,
  attributes: Numbers & StochasticRounding,
  round: Round,
) {
  const { learningRate, momentumFactor } = attributes;
  const scale = gradientScale?.data[0] ?? 1;
  const step = mapElements(gradient, (value, i) => {
    const g = round(value * scale);
    return momentum === undefined ? g : round(round(momentumFactor! * momentum.data[i]!) + g);
  });
  const updated = mapElements(decayed(weight, attributes, round), (w, i) =>
    round(w - round(learningRate! * step.data[i]!)),
  );
  const result = { weight: stochasticallyRounded(updated, attributes) };
  return momentum === undefined ? result : { ...result, momentum: step };
}

/** partials[index] = sum of squares of x; the other partials stay. */
export function sumOfSquares({ x, partials }: { x: Tensor; partials: Tensor }, { index }: Numbers) {
  const sum = x.data.reduce((total, value) => total + value * value, 0);
  return { partials: mapElements(partials, (old, i) => (i === index ? sum : old)) };
}

/** The norm of all gradients, and the factor that brings it under maxNorm. */
export function gradientNorm({ partials }: { partials: Tensor }, { maxNorm }: Numbers, round: Round) {
  const norm = round(Math.sqrt(partials.data.reduce((a, b) => a + b, 0)));
  const scale = maxNorm! > 0 ? Math.min(1, round(maxNorm! / round(norm + 1e-6))) : 1;
  return { norm: tensor([1], [norm]), scale: tensor([1], [scale]) };
}
