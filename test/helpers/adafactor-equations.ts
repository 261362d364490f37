/** Adafactor as its paper states it. */
import { mapElements, type Tensor, tensor } from '../reference/index.js';
import type { Equations } from './method-equations.js';

const rms = ({ data }: Tensor): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);

/**
 * Adafactor, algorithm 4 for matrices and 5 for vectors, with algorithm 6's step relative to the parameter; the same as
 * AdaLomo's algorithm 1. Means of rows and columns instead of sums: only their ratio counts.
 */
export function adafactorEquations(weightDecay: number, scaleByParameter = true): Equations {
  const states = new Map<string, Tensor>();
  const moved = (name: string, decay: number, now: Tensor): Tensor => {
    const old = states.get(name) ?? tensor(now.shape);
    const after = mapElements(old, (value, i) => decay * value + (1 - decay) * now.data[i]!);
    states.set(name, after);
    return after;
  };
  return {
    states,
    update(weight, gradient, { name, step, learningRate }) {
      const decay = 1 - step ** -0.8;
      const squares = mapElements(gradient, (g) => g * g + 1e-30);
      let second: Tensor;
      if (weight.shape.length === 1) {
        second = moved(`${name}.columnMeans`, decay, squares);
        states.set(
          `${name}.rowMeans`,
          tensor([1], [second.data.reduce((a, b) => a + b) / second.data.length]),
        );
      } else {
        const [n, m] = weight.shape as [number, number];
        const means = (count: number, other: number, at: (i: number, j: number) => number) =>
          tensor(
            [count],
            Array.from({ length: count }, (_, i) => {
              let sum = 0;
              for (let j = 0; j < other; j++) sum += squares.data[at(i, j)]!;
              return sum / other;
            }),
          );
        const rows = moved(
          `${name}.rowMeans`,
          decay,
          means(n, m, (i, j) => i * m + j),
        );
        const columns = moved(
          `${name}.columnMeans`,
          decay,
          means(m, n, (j, i) => i * m + j),
        );
        const mean = rows.data.reduce((a, b) => a + b) / n;
        second = mapElements(weight, (_, i) => (rows.data[Math.floor(i / m)]! * columns.data[i % m]!) / mean);
      }
      const unclipped = mapElements(gradient, (g, i) => g / Math.sqrt(second.data[i]!));
      const scale = scaleByParameter ? Math.max(1e-3, rms(weight)) : 1;
      const rate = (learningRate * scale) / Math.max(1, rms(unclipped));
      const keep = weight.shape.length > 1 ? 1 - learningRate * weightDecay : 1;
      return mapElements(weight, (w, i) => w * keep - rate * unclipped.data[i]!);
    },
  };
}
