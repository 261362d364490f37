/** Adafactor as its paper states it. */
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import type { Equations } from './method-equations.js';

export const rmsOf = ({ data }: Tensor): number =>
  Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);

/**
 * The direction of Adafactor, algorithm 4 for matrices and 5 for vectors, clipped by its root mean square. Means of rows
 * and columns instead of sums: only their ratio counts.
 */
export function adafactorDirection(
  states: Map<string, Tensor>,
  name: string,
  gradient: Tensor,
  step: number,
): Tensor {
  const decay = 1 - step ** -0.8;
  const moved = (suffix: string, now: readonly number[]): Tensor => {
    const full = `${name}.${suffix}`;
    const old = states.get(full) ?? tensor([now.length]);
    const after = mapElements(old, (value, i) => decay * value + (1 - decay) * now[i]!);
    states.set(full, after);
    return after;
  };
  const squares = [...gradient.data].map((g) => g * g + 1e-30);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;
  const [n, m] = gradient.shape.length === 1 ? [1, gradient.shape[0]!] : (gradient.shape as [number, number]);
  const rowMeans = Array.from({ length: n }, (_, i) => mean(squares.slice(i * m, (i + 1) * m)));
  const columnMeans = Array.from({ length: m }, (_, j) => mean(squares.filter((_square, i) => i % m === j)));
  const rows = moved('rowMeans', rowMeans);
  const columns = moved('columnMeans', columnMeans);
  const ofRows = mean([...rows.data]);
  const unclipped = mapElements(gradient, (g, i) => {
    const second = (rows.data[Math.floor(i / m)]! * columns.data[i % m]!) / ofRows;
    return g / Math.sqrt(second);
  });
  const clip = Math.max(1, rmsOf(unclipped));
  return mapElements(unclipped, (value) => value / clip);
}

/** Adafactor with algorithm 6's step relative to the parameter; the same as AdaLomo's algorithm 1. */
export function adafactorEquations(weightDecay: number, scaleByParameter = true): Equations {
  const states = new Map<string, Tensor>();
  return {
    states,
    update(weight, gradient, { name, step, learningRate }) {
      const direction = adafactorDirection(states, name, gradient, step);
      const rate = learningRate * (scaleByParameter ? Math.max(1e-3, rmsOf(weight)) : 1);
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return mapElements(weight, (w, i) => w * keep - rate * direction.data[i]!);
    },
  };
}
