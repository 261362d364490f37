/** Element-wise non-linearities and their gradients. */
import { erf } from './erf.js';
import { softCapped, softCapSlope } from './soft-cap.js';
import { mapElements, type Numbers, type Round, type Tensor, tensor } from './tensor.js';

const sigmoid = (x: number, round: Round): number => round(1 / round(1 + round(Math.exp(-x))));
const siluOf = (x: number, round: Round): number => round(x / round(1 + round(Math.exp(-x))));

const siluSlope = (x: number, round: Round): number => {
  const s = sigmoid(x, round);
  return round(s * round(1 + round(x * round(1 - s))));
};

export const silu = ({ x }: { x: Tensor }, _: Numbers, round: Round) => ({
  y: mapElements(x, (value) => siluOf(value, round)),
});

export const siluBackward = ({ x, dy }: { x: Tensor; dy: Tensor }, _: Numbers, round: Round) => ({
  dx: mapElements(x, (value, i) => round(dy.data[i]! * siluSlope(value, round))),
});

/** silu(gate) up (https://arxiv.org/abs/2002.05202). */
export const swiglu = ({ gate, up }: { gate: Tensor; up: Tensor }, _: Numbers, round: Round) => ({
  y: mapElements(gate, (g, i) => round(siluOf(g, round) * up.data[i]!)),
});

export const swigluBackward = (
  { gate, up, dy }: { gate: Tensor; up: Tensor; dy: Tensor },
  _: Numbers,
  round: Round,
) => ({
  dGate: mapElements(gate, (g, i) => round(round(dy.data[i]! * up.data[i]!) * siluSlope(g, round))),
  dUp: mapElements(gate, (g, i) => round(dy.data[i]! * siluOf(g, round))),
});

const tanhInner = (x: number, round: Round): number =>
  round(Math.sqrt(2 / Math.PI) * round(x + round(0.044715 * round(round(x * x) * x))));

const geluOf = (x: number, approximate: number, round: Round): number => {
  const bent =
    approximate === 1 ? round(Math.tanh(tanhInner(x, round))) : round(erf(round(x * Math.SQRT1_2)));
  return round(round(0.5 * x) * round(1 + bent));
};

const geluSlope = (x: number, approximate: number, round: Round): number => {
  if (approximate === 1) {
    const t = round(Math.tanh(tanhInner(x, round)));
    const inner = round(Math.sqrt(2 / Math.PI) * round(1 + round(3 * 0.044715 * round(x * x))));
    return round(round(0.5 * round(1 + t)) + round(round(0.5 * x) * round(round(1 - round(t * t)) * inner)));
  }
  const density = round(Math.exp(round(-0.5 * round(x * x))) / Math.sqrt(2 * Math.PI));
  return round(round(0.5 * round(1 + round(erf(round(x * Math.SQRT1_2))))) + round(x * density));
};

/** x Phi(x), or its tanh form (https://arxiv.org/abs/1606.08415). */
export const gelu = ({ x }: { x: Tensor }, { approximate }: Numbers, round: Round) => ({
  y: mapElements(x, (value) => geluOf(value, approximate!, round)),
});

export const geluBackward = (
  { x, dy }: { x: Tensor; dy: Tensor },
  { approximate }: Numbers,
  round: Round,
) => ({
  dx: mapElements(x, (value, i) => round(dy.data[i]! * geluSlope(value, approximate!, round))),
});

/** gelu(gate) up with the tanh form (https://arxiv.org/abs/2002.05202). */
export const geglu = ({ gate, up }: { gate: Tensor; up: Tensor }, _: Numbers, round: Round) => ({
  y: mapElements(gate, (g, i) => round(geluOf(g, 1, round) * up.data[i]!)),
});

export const gegluBackward = (
  { gate, up, dy }: { gate: Tensor; up: Tensor; dy: Tensor },
  _: Numbers,
  round: Round,
) => ({
  dGate: mapElements(gate, (g, i) => round(round(dy.data[i]! * up.data[i]!) * geluSlope(g, 1, round))),
  dUp: mapElements(gate, (g, i) => round(dy.data[i]! * geluOf(g, 1, round))),
});

/** cap tanh(x / cap). */
export const tanh = ({ x }: { x: Tensor }, { cap }: Numbers, round: Round) => ({
  y: mapElements(x, (value) => softCapped(value, cap, round)),
});

export const tanhBackward = ({ y, dy }: { y: Tensor; dy: Tensor }, { cap }: Numbers, round: Round) => ({
  dx: mapElements(y, (value, i) => round(dy.data[i]! * softCapSlope(value, cap, round))),
});

/** Numbers of segments in two bits, four a byte: how many thresholds are below each element. */
export function segments(
  { x }: { x: Tensor },
  { threshold1, threshold2, threshold3 }: Numbers,
): { codes: Tensor } {
  const thresholds = [threshold1!, threshold2!, threshold3!].map(Math.fround);
  const codes = tensor([Math.ceil(x.data.length / 4)]);
  x.data.forEach((value, i) => {
    codes.data[i >> 2]! += thresholds.filter((threshold) => value > threshold).length * 4 ** (i % 4);
  });
  return { codes };
}

/** The slope of a mixture of three ReLU (https://arxiv.org/abs/2406.16282), of which each segment has one. */
export const segmentsBackward = (
  { codes, dy }: { codes: Tensor; dy: Tensor },
  { slope1, slope2, slope3 }: Numbers,
  round: Round,
) => ({
  dx: mapElements(dy, (value, i) => {
    const slopes = [0, slope1!, slope2!, slope3!].map(round);
    return round(value * slopes[Math.floor(codes.data[i >> 2]! / 4 ** (i % 4)) % 4]!);
  }),
});
