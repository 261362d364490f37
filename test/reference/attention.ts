import { softCapped, softCapSlope } from './soft-cap.js';
import { type Numbers, type Round, type Tensor, tensor } from './tensor.js';

interface Shape {
  readonly n: number; // tokens of all sequences
  readonly w: number; // query width
  readonly u: number; // key and value width
  readonly heads: number;
  readonly headSize: number;
  readonly sequenceLength: number;
}

function shapeOf(q: Tensor, k: Tensor, { sequenceLength, headSize }: Numbers): Shape {
  const [n, w] = q.shape as [number, number];
  return { n, w, u: k.shape[1]!, heads: w / headSize!, headSize: headSize!, sequenceLength: sequenceLength! };
}

/** What hides tokens from rows, beside the causal rule. */
interface Hidden {
  readonly mask?: Tensor;
  readonly firstKeys?: Tensor;
}

/** Tokens of the row's sequence that the row may look at. */
function visible(
  row: number,
  { sequenceLength }: Shape,
  { causal, window = 0 }: Numbers,
  { mask, firstKeys }: Hidden,
): number[] {
  const first = row - (row % sequenceLength);
  const tokens = Array.from({ length: sequenceLength }, (_, i) => first + i);
  return tokens.filter(
    (token) =>
      (causal === 0 || token <= row) &&
      (window === 0 || token > row - window) &&
      token - first >= (firstKeys?.data[row] ?? 0) &&
      (mask?.data[token] ?? 1) !== 0,
  );
}

/** Start of a head's columns in q and in k, v: grouped-query heads share a key and value head. */
function columns(head: number, { heads, headSize, u }: Shape): readonly [number, number] {
  const group = heads / (u / headSize);
  return [head * headSize, Math.floor(head / group) * headSize];
}

function dot(length: number, round: Round, term: (index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum = round(sum + round(term(i)));
  return sum;
}

/** o = softmax(scale q k^T) v per sequence and head, scores capped where `softCap` is not 0, lse the log-sum-exp of the scores. */
export function attention(
  { q, k, v, ...hidden }: Hidden & { q: Tensor; k: Tensor; v: Tensor },
  attributes: Numbers,
  round: Round,
) {
  const shape = shapeOf(q, k, attributes);
  const { n, w, u, heads, headSize } = shape;
  const o = tensor([n, w]);
  const lse = tensor([n, heads]);
  for (let row = 0; row < n; row++) {
    const tokens = visible(row, shape, attributes, hidden);
    for (let head = 0; head < heads; head++) {
      const [own, shared] = columns(head, shape);
      const scores = tokens.map((token) =>
        softCapped(
          round(
            dot(headSize, round, (i) => q.data[row * w + own + i]! * k.data[token * u + shared + i]!) *
              attributes.scale!,
          ),
          attributes.softCap,
          round,
        ),
      );
      const largest = Math.max(...scores);
      const weights = scores.map((score) => round(Math.exp(round(score - largest))));
      const total = dot(weights.length, round, (i) => weights[i]!);
      lse.data[row * heads + head] =
        tokens.length === 0 ? -Infinity : round(largest + round(Math.log(total)));
      if (tokens.length === 0) continue;
      for (let i = 0; i < headSize; i++) {
        const sum = dot(tokens.length, round, (t) => weights[t]! * v.data[tokens[t]! * u + shared + i]!);
        o.data[row * w + own + i] = round(sum / total);
      }
    }
  }
  return { o, lse };
}

interface AttentionGradientInputs extends Hidden {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly o: Tensor;
  readonly lse: Tensor;
  readonly dO: Tensor;
}

export function attentionBackward(
  { q, k, v, o, lse, dO, ...hidden }: AttentionGradientInputs,
  attributes: Numbers,
  round: Round,
) {
  const shape = shapeOf(q, k, attributes);
  const { n, w, u, heads, headSize } = shape;
  const scale = attributes.scale!;
  const [dq, dk, dv] = [tensor([n, w]), tensor([n, u]), tensor([n, u])];
  const add = (target: Tensor, index: number, value: number) => {
    target.data[index] = round(target.data[index]! + round(value));
  };
  for (let row = 0; row < n; row++) {
    const tokens = visible(row, shape, attributes, hidden);
    for (let head = 0; head < heads; head++) {
      const [own, shared] = columns(head, shape);
      const delta = dot(headSize, round, (i) => dO.data[row * w + own + i]! * o.data[row * w + own + i]!);
      for (const token of tokens) {
        const qAt = (i: number) => row * w + own + i;
        const kAt = (i: number) => token * u + shared + i;
        const product = round(dot(headSize, round, (i) => q.data[qAt(i)]! * k.data[kAt(i)]!) * scale);
        const score = softCapped(product, attributes.softCap, round);
        const slope = softCapSlope(score, attributes.softCap, round);
        const probability = round(Math.exp(round(score - lse.data[row * heads + head]!)));
        const dProbability = dot(headSize, round, (i) => dO.data[qAt(i)]! * v.data[kAt(i)]!);
        const dScore = round(round(round(probability * round(dProbability - delta)) * slope) * scale);
        for (let i = 0; i < headSize; i++) {
          add(dv, kAt(i), probability * dO.data[qAt(i)]!);
          add(dq, qAt(i), dScore * k.data[kAt(i)]!);
          add(dk, kAt(i), dScore * q.data[qAt(i)]!);
        }
      }
    }
  }
  return { dq, dk, dv };
}
