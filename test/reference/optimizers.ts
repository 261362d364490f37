/** Adam (https://arxiv.org/abs/1412.6980), AdamW (https://arxiv.org/abs/1711.05101), SGD, and clipping by norm. */
import { decodedState, encodedState } from './dynamic-map.js';
import { half, philox } from './philox.js';
import { type StochasticRounding, stochasticallyRounded } from './stochastic-rounding.js';
import { mapElements, type Numbers, type Outputs, type Round, type Tensor, tensor } from './tensor.js';

interface AdamInputs {
  readonly gradient: Tensor;
  readonly expAvg: Tensor;
  readonly expAvgSq: Tensor;
  readonly gradientScale?: Tensor;
  /** Present where the moments are codes. */
  readonly expAvgScales?: Tensor;
  readonly expAvgSqScales?: Tensor;
}

export function adamDirection(
  { expAvgScales, expAvgSqScales, ...inputs }: AdamInputs,
  attributes: Numbers,
  round: Round,
) {
  if (expAvgScales === undefined) return adamDirectionOfNumbers(inputs, attributes, round);
  const { direction, ...moments } = adamDirectionOfNumbers(
    {
      ...inputs,
      expAvg: decodedState(inputs.expAvg, expAvgScales, 'signed', round),
      expAvgSq: decodedState(inputs.expAvgSq, expAvgSqScales!, 'unsigned', round),
    },
    attributes,
    round,
  );
  const [first, second] = [
    encodedState(moments.expAvg, 'signed'),
    encodedState(moments.expAvgSq, 'unsigned'),
  ];
  return {
    direction,
    expAvg: first.codes,
    expAvgSq: second.codes,
    expAvgScales: first.scales,
    expAvgSqScales: second.scales,
  };
}

function adamDirectionOfNumbers(
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
  const { direction, ...moments } = adamDirection(inputs, { ...attributes, ...steps }, round);
  const rate = round(attributes.learningRate! * attributes.updateScale!);
  const updated = mapElements(decayed(weight, attributes, round), (w, i) =>
    round(w - round(rate * direction.data[i]!)),
  );
  return { weight: stochasticallyRounded(updated, attributes), ...moments };
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

interface AdafactorInputs {
  readonly gradient: Tensor;
  readonly rows: Tensor;
  readonly columns: Tensor;
  readonly parameter?: Tensor;
  readonly gradientScale?: Tensor;
}

/** Adafactor (https://arxiv.org/abs/1804.04235), algorithms 4 and 6, with means in the place of sums. */
export function adafactorDirection(
  { gradient, rows, columns, parameter, gradientScale }: AdafactorInputs,
  { decayExponent, epsilon, clipThreshold, step, leastParameter }: Numbers,
  round: Round,
) {
  const [n, m] = [rows.data.length, columns.data.length];
  const scale = gradientScale?.data[0] ?? 1;
  const g = mapElements(gradient, (value) => round(value * scale));
  const decay = round(1 - step! ** -decayExponent!);
  const meanOfSquares = (count: number, at: (k: number) => number): number => {
    let sum = 0;
    for (let k = 0; k < count; k++) sum = round(sum + round(g.data[at(k)]! ** 2));
    return round(round(sum / count) + epsilon!);
  };
  const moved = (old: number, now: number) => round(round(decay * old) + round(round(1 - decay) * now));
  const newRows = mapElements(rows, (old, i) =>
    moved(
      old,
      meanOfSquares(m, (j) => i * m + j),
    ),
  );
  const newColumns = mapElements(columns, (old, j) =>
    moved(
      old,
      meanOfSquares(n, (i) => i * m + j),
    ),
  );
  const mean = round(newRows.data.reduce((a, b) => round(a + b), 0) / n);
  const unclipped = mapElements(g, (value, i) => {
    const [row, column] = [newRows.data[Math.floor(i / m)]!, newColumns.data[i % m]!];
    return round(value * round(round(Math.sqrt(round(mean / row))) / round(Math.sqrt(column))));
  });
  const rms = ({ data }: Tensor) =>
    round(Math.sqrt(round(data.reduce((sum, x) => round(sum + round(x * x)), 0) / data.length)));
  const least = parameter === undefined ? 1 : Math.max(leastParameter!, rms(parameter));
  const factor = round(least / Math.max(1, round(rms(unclipped) / clipThreshold!)));
  const direction = mapElements(unclipped, (u) => round(u * factor));
  return { direction, rows: newRows, columns: newColumns };
}

interface Int8UpdateInputs {
  readonly codes: Tensor;
  readonly scales: Tensor;
  readonly direction: Tensor;
  readonly gradientScale?: Tensor;
}

/**
 * The same of w = code scale, group by group, rounded stochastically to codes. In single precision as the op defines
 * it: a code that is rounded must not fall on another side.
 */
export function weightUpdateInt8(
  { codes, scales, direction, gradientScale }: Int8UpdateInputs,
  { groupSize, learningRate, updateScale, weightDecay, roundingSeed, tensorId, step }: Numbers,
) {
  const f = Math.fround;
  const keep = f(1 - learningRate! * weightDecay!);
  const rate = f(learningRate! * updateScale!);
  const moved = mapElements(codes, (code, i) => {
    const weight = f(code * scales.data[Math.floor(i / groupSize!)]!);
    const along = f(direction.data[i]! * (gradientScale?.data[0] ?? 1));
    return f(f(weight * keep) - f(rate * along));
  });
  const newScales = mapElements(scales, (old, group) => {
    const values = moved.data.subarray(group * groupSize!, (group + 1) * groupSize!);
    const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    return largest >= f(64 * old) && largest <= f(127 * old) ? old : f(largest / 127);
  });
  const newCodes = mapElements(moved, (value, i) => {
    const group = Math.floor(i / groupSize!);
    const column = i % groupSize!;
    const words = philox([Math.floor(column / 8), group, tensorId! | 0x80000000, step!], [roundingSeed!, 0]);
    const scale = newScales.data[group]!;
    const code = Math.floor(f(f(value / scale) + half(words, column % 8) / 65536));
    return scale === 0 ? 0 : Math.max(-127, Math.min(127, code));
  });
  return { codes: newCodes, scales: newScales };
}

interface MomentumInputs {
  readonly gradient: Tensor;
  readonly buffer?: Tensor;
  readonly gradientScale?: Tensor;
}

export function momentum(
  { gradient, buffer, gradientScale }: MomentumInputs,
  { factor, dampening, nesterov }: Numbers,
  round: Round,
): Outputs {
  const scale = gradientScale?.data[0] ?? 1;
  const added = mapElements(gradient, (g) => round((1 - dampening!) * round(g * scale)));
  if (buffer === undefined) return { direction: added };
  const move = (from: Tensor): Tensor =>
    mapElements(from, (b, i) => round(round(factor! * b) + added.data[i]!));
  const moved = move(buffer);
  return { direction: nesterov === 1 ? move(moved) : moved, buffer: moved };
}

interface LionInputs {
  readonly gradient: Tensor;
  readonly average: Tensor;
  readonly gradientScale?: Tensor;
}

/** Lion (https://arxiv.org/abs/2302.06675), algorithm 2. */
export function lionDirection(
  { gradient, average, gradientScale }: LionInputs,
  { beta1, beta2 }: Numbers,
  round: Round,
) {
  const scale = gradientScale?.data[0] ?? 1;
  const g = mapElements(gradient, (value) => round(value * scale));
  const mixed = (beta: number): Tensor =>
    mapElements(average, (m, i) => round(round(beta * m) + round((1 - beta) * g.data[i]!)));
  return { direction: mapElements(mixed(beta1!), Math.sign), average: mixed(beta2!) };
}

/** factor x / max(norm, epsilon), with the norm of the matrix (`of` 0), of each column (1) or of each row (2). */
export function divideByNorm({ x }: { x: Tensor }, { of, epsilon, factor }: Numbers, round: Round) {
  const [rows, columns] = x.shape as [number, number];
  const squares = new Float64Array([1, columns, rows][of!]!);
  const channel = (element: number): number => [0, element % columns, Math.floor(element / columns)][of!]!;
  for (const [i, value] of x.data.entries())
    squares[channel(i)] = round(squares[channel(i)]! + round(value * value));
  const scales = squares.map((square) => {
    const norm = round(Math.sqrt(square));
    return round(factor! / (norm < epsilon! ? epsilon! : norm));
  });
  return { y: mapElements(x, (value, i) => round(value * scales[channel(i)]!)) };
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
  const { learningRate, updateScale, momentumFactor, nesterov } = attributes;
  const scale = gradientScale?.data[0] ?? 1;
  const rate = round(learningRate! * updateScale!);
  const g = mapElements(gradient, (value) => round(value * scale));
  const moved = (from: Tensor): Tensor =>
    mapElements(from, (b, i) => round(round(momentumFactor! * b) + g.data[i]!));
  const sum = momentum && moved(momentum);
  const direction = sum === undefined ? g : nesterov === 1 ? moved(sum) : sum;
  const updated = mapElements(decayed(weight, attributes, round), (w, i) =>
    round(w - round(rate * direction.data[i]!)),
  );
  const result = { weight: stochasticallyRounded(updated, attributes) };
  return sum === undefined ? result : { ...result, momentum: sum };
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
