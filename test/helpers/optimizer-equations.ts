/** Optimizers as their papers state them, for full gradients and for those that CompAct compresses. */
import { parameterId } from '../../lib/graph/index.js';
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import { product, transposed } from '../reference/product.js';
import { projection } from '../reference/projection.js';
import { exact } from '../reference/tensor.js';
import { weightOfCodes } from './int8-weights.js';
import { adamEquation, type Equations } from './method-equations.js';

/** What a direction is made from. */
export interface DirectionInput {
  readonly name: string;
  readonly gradient: Tensor;
  /** 1 for the first. */
  readonly step: number;
  /** By full names, as checkpoints have them. */
  readonly states: Map<string, Tensor>;
}

export type DirectionEquation = (input: DirectionInput) => Tensor;

/** Options of `compact` that the equations go by; P is the weight's own (sharing 'weight'). */
export interface CompressedSpace {
  readonly rank: number;
  readonly refreshInterval: number;
  readonly updateScale: number;
}

const isCompressed = (name: string): boolean => /(q|k|v|gate|up|down)_proj/.test(name);
const isHidden = (name: string): boolean => name.includes('_proj');
const isHead = (name: string): boolean => name.startsWith('lm_head');
const isVector = (gradient: Tensor): boolean => gradient.shape.length === 1;

/** W (1 - rate decay) - rate scale D, or with P D for D where the gradient is P^T G. */
export function optimizerEquations(
  direction: DirectionEquation,
  weightDecay: number,
  space?: CompressedSpace,
): Equations {
  const states = new Map<string, Tensor>();
  return {
    states,
    update(weight, gradient, { name, step, learningRate }) {
      const keep = isVector(weight) ? 1 : 1 - learningRate * weightDecay;
      const moved = (scale: number, full: Tensor): Tensor =>
        mapElements(weight, (w, i) => w * keep - learningRate * scale * full.data[i]!);
      const of = (g: Tensor): Tensor => direction({ name, gradient: g, step, states });
      if (space === undefined) return moved(1, of(gradient));
      const { rank, refreshInterval, updateScale } = space;
      if (!isCompressed(name)) return moved(name.includes('o_proj') ? updateScale / 2 : 1, of(gradient));
      const epoch = Math.floor((step - 1) / refreshInterval);
      const key = {
        seedLow: 42,
        seedHigh: 0,
        tensorId: parameterId(weightOfCodes(name) ?? name),
        epoch,
        distribution: 0,
      };
      const p = projection(weight.shape[0]!, rank, key);
      return moved(updateScale, product(p, of(product(p, gradient, exact, true)), exact));
    },
  };
}

/** old = state, new = factor old + share gradient; the new one is kept. */
function average(
  { states, gradient }: DirectionInput,
  name: string,
  [factor, share]: readonly [number, number],
): Tensor {
  const old = states.get(name) ?? tensor(gradient.shape);
  const result = mixture(old, gradient, [factor, share]);
  states.set(name, result);
  return result;
}

const mixture = (a: Tensor, b: Tensor, [ofA, ofB]: readonly [number, number]): Tensor =>
  mapElements(a, (value, i) => ofA * value + ofB * b.data[i]!);

/** x with column j times factors[j]. */
const scaledColumns = (x: Tensor, factors: readonly number[]): Tensor =>
  mapElements(x, (value, i) => value * factors[i % factors.length]!);

/** The sums of squares of the columns of x. */
function columnSquares(x: Tensor): number[] {
  const sums = Array<number>(x.shape[1]!).fill(0);
  for (const [i, value] of x.data.entries()) sums[i % sums.length]! += value ** 2;
  return sums;
}

const adamOptions = { betas: [0.9, 0.999], epsilon: 1e-8 } as const;

export const adamDirection: DirectionEquation = ({ states, name, gradient, step }) =>
  adamEquation(states, name, gradient, { step, ...adamOptions });

/** arXiv 2506.16659: columns, of the head rows, over their root mean square; the head's gradient is averaged first. */
export const scaleDirection: DirectionEquation = (input) => {
  const { name, gradient } = input;
  if (isVector(gradient)) return adamDirection(input);
  const overRms = (x: Tensor): Tensor =>
    scaledColumns(
      x,
      columnSquares(x).map((square) => 1 / Math.max(Math.sqrt(square / x.shape[0]!), 1e-8)),
    );
  if (!isHead(name)) return overRms(gradient);
  return transposed(overRms(transposed(average(input, `${name}.expAvg`, [0.9, 0.1]))));
};

const nesterov = (input: DirectionInput, factor: number): Tensor => {
  const shares = [factor, 1 - factor] as const;
  return mixture(average(input, `${input.name}.expAvg`, shares), input.gradient, shares);
};

/** arXiv 2603.20527: the rows of PyTorch's (out, in) momentum, our columns, over their lengths. */
export const rmnpDirection: DirectionEquation = (input) => {
  if (!isHidden(input.name)) return adamDirection(input);
  const x = nesterov(input, 0.95);
  const [rows, columns] = x.shape as [number, number];
  const size = Math.sqrt(Math.max(1, columns / rows));
  return scaledColumns(
    x,
    columnSquares(x).map((square) => size / Math.max(Math.sqrt(square), 1e-12)),
  );
};

/** Jordan et al. 2024; `size` by the sizes (in, out) of the matrix. */
export const muonDirection =
  (size: (rows: number, columns: number) => number): DirectionEquation =>
  (input) => {
    if (!isHidden(input.name)) return adamDirection(input);
    const m = nesterov(input, 0.95);
    const [rows, columns] = m.shape as [number, number];
    const norm = Math.sqrt(m.data.reduce((sum, value) => sum + value ** 2, 0));
    let x = mapElements(m, (value) => value / Math.max(norm, 1e-7));
    for (let i = 0; i < 5; i++) {
      // Always on the left, in the plainest order: a X + b X X^T X + c X X^T X X^T X.
      const gram = product(x, x, exact, false, true);
      const third = product(gram, x, exact);
      const fifth = product(gram, third, exact);
      x = mapElements(x, (value, j) => 3.4445 * value - 4.775 * third.data[j]! + 2.0315 * fifth.data[j]!);
    }
    return mapElements(x, (value) => size(rows, columns) * value);
  };

/**
 * arXiv 2406.16793, algorithms 1 to 3: v is an average of the mean of squares of each block: of a head of queries and
 * keys, of a row of the table and of the head, of a norm, and of an output, our column, of all other matrices. Beside it
 * stands an average of the roots of these means, which the paper has no use for.
 */
export const adamMiniDirection =
  (headSize: number): DirectionEquation =>
  (input) => {
    const { states, name, gradient, step } = input;
    const columns = gradient.shape.at(-1)!;
    const isByHead = /[qk]_proj/.test(name);
    const isByRow = isHead(name) || name.includes('embed_tokens');
    const blockOf = (i: number): number => {
      if (isVector(gradient)) return 0;
      if (isByRow) return Math.floor(i / columns);
      return isByHead ? Math.floor((i % columns) / headSize) : i % columns;
    };
    const squares: number[][] = [];
    for (const [i, value] of gradient.data.entries()) (squares[blockOf(i)] ??= []).push(value ** 2);
    const means = squares.map((all) => all.reduce((a, b) => a + b) / all.length);
    const averaged = (suffix: string, factor: number, now: readonly number[]): Tensor => {
      const old = states.get(`${name}.${suffix}`) ?? tensor([1, now.length]);
      const after = mapElements(old, (value, block) => factor * value + (1 - factor) * now[block]!);
      states.set(`${name}.${suffix}`, after);
      return after;
    };
    const second = averaged('blockAvgSq', 0.999, means);
    averaged('blockAvg', 0.9, means.map(Math.sqrt));
    const first = average(input, `${name}.expAvg`, [0.9, 0.1]);
    return mapElements(first, (value, i) => {
      const v = second.data[blockOf(i)]! / (1 - 0.999 ** step);
      return value / (1 - 0.9 ** step) / (Math.sqrt(v) + 1e-8);
    });
  };

/** arXiv 2302.06675, algorithm 2. */
export const lionDirection: DirectionEquation = (input) => {
  const { states, name, gradient } = input;
  const old = states.get(`${name}.expAvg`) ?? tensor(gradient.shape);
  average(input, `${name}.expAvg`, [0.99, 0.01]);
  return mapElements(mixture(old, gradient, [0.9, 0.1]), Math.sign);
};

/** Sutskever et al. 2013, as PyTorch states it. */
export const sgdDirection =
  (factor: number, isAhead: boolean): DirectionEquation =>
  (input) => {
    if (factor === 0) return input.gradient;
    const sum = average(input, `${input.name}.momentum`, [factor, 1]);
    return isAhead ? mixture(sum, input.gradient, [factor, 1]) : sum;
  };

/** arXiv 2512.07112: moments of the means of blocks of neighbouring outputs, and what those leave of the gradient. */
export const foamDirection =
  (width: number): DirectionEquation =>
  (input) => {
    const { name, gradient, states } = input;
    if (!isHidden(name)) return adamDirection(input);
    const [rows, columns] = gradient.shape as [number, number];
    const blockOf = (i: number): number => Math.floor(i / width);
    const folded = tensor([rows, columns / width]);
    for (const [i, g] of gradient.data.entries()) folded.data[blockOf(i)]! += g / width;
    const [beta1, beta2] = adamOptions.betas;
    const m = average({ ...input, gradient: folded }, `${name}.expAvg`, [beta1, 1 - beta1]);
    const squares = mapElements(folded, (g) => g * g);
    const v = average({ states, name, gradient: squares, step: 0 }, `${name}.expAvgSq`, [beta2, 1 - beta2]);
    return mapElements(gradient, (g, i) => {
      const rest = g - folded.data[blockOf(i)]!;
      const root = Math.sqrt(v.data[blockOf(i)]! + rest * rest);
      return (m.data[blockOf(i)]! + rest) / (root + adamOptions.epsilon);
    });
  };
