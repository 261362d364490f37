import { describe, expect, test } from '@jest/globals';
import { describeOps, plannedCases, runOps } from '../helpers/describe-ops.js';
import { machines, withEngine } from '../helpers/machines.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { outputOf } from '../helpers/op-plan.js';
import { randomTensor } from '../helpers/random.js';
import { type Tensor, tensor } from '../reference/index.js';

describeOps('orthonormalize', () =>
  [
    [1, 1],
    [5, 3],
    [33, 8],
    [130, 41],
    [300, 129],
    [4097, 5],
  ].flatMap(([rows, columns]) =>
    opCases({ op: 'orthonormalize', inputs: { x: randomTensor('x', [rows!, columns!]) } }),
  ),
);

const changed = (x: Tensor, change: (row: number, column: number, value: number) => number): Tensor => {
  const [, columns] = x.shape as [number, number];
  return tensor(
    x.shape,
    x.data.map((value, i) => change(Math.floor(i / columns), i % columns, value)),
  );
};
const normal = (rows: number, columns: number): Tensor => randomTensor('x', [rows, columns]);

/** A sum of a few outer products. */
function ofRank(rank: number, rows: number, columns: number): Tensor {
  const [left, right] = [normal(rows, rank), randomTensor('right', [rank, columns])];
  return changed(tensor([rows, columns]), (i, j) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += left.data[i * rank + k]! * right.data[k * columns + j]!;
    return sum;
  });
}

/** Matrices that leave something to choose, or that are hard in fp32. */
const hard: readonly (readonly [name: string, x: Tensor])[] = [
  ['zeros', tensor([40, 8])],
  ['square zeros', tensor([24, 24])],
  ...[1, 2, 3, 4, 5].map((size) => [`zeros of ${size}`, tensor([size, size])] as const),
  ['equal columns', changed(normal(40, 8), (i) => Math.sin(i))],
  ['a zero column', changed(normal(40, 8), (_, j, value) => (j === 3 ? 0 : value))],
  ['rank 3', ofRank(3, 60, 12)],
  ['square of rank 3', ofRank(3, 20, 20)],
  ['columns of falling size', changed(normal(80, 16), (_, j, value) => value * 10 ** -j)],
  [
    'nearly dependent columns',
    changed(ofRank(1, 80, 8), (i, j, value) => value + 1e-4 * Math.sin(i * (j + 1))),
  ],
  ['tiny numbers', changed(normal(80, 8), (_, __, value) => value * 1e-15)],
  ['large numbers', changed(normal(80, 8), (_, __, value) => value * 1e15)],
];

function gramError(q: Float64Array, [rows, columns]: readonly [number, number]): number {
  let worst = 0;
  for (let a = 0; a < columns; a++) {
    for (let b = 0; b < columns; b++) {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += q[i * columns + a]! * q[i * columns + b]!;
      worst = Math.max(worst, Math.abs(sum - Number(a === b)));
    }
  }
  return worst;
}

/** How much of the columns of x lies outside the span of q, of all of them. */
function outside(x: Tensor, q: Float64Array): number {
  const [rows, columns] = x.shape as [number, number];
  let [rest, all] = [0, 0];
  for (let j = 0; j < columns; j++) {
    const left = Float64Array.from({ length: rows }, (_, i) => x.data[i * columns + j]!);
    for (let k = 0; k < columns; k++) {
      let share = 0;
      for (let i = 0; i < rows; i++) share += q[i * columns + k]! * x.data[i * columns + j]!;
      for (let i = 0; i < rows; i++) left[i]! -= share * q[i * columns + k]!;
    }
    for (let i = 0; i < rows; i++) {
      rest += left[i]! ** 2;
      all += x.data[i * columns + j]! ** 2;
    }
  }
  return all === 0 ? 0 : Math.sqrt(rest / all);
}

describe('columns that depend on each other', () => {
  test.each(machines)('%s', async (machine) => {
    const cases = hard.flatMap(([label, x]): OpCase[] => {
      const [opCase] = opCases({ op: 'orthonormalize', label, inputs: { x } }, ['f32 f32']);
      return [{ ...opCase!, right: {}, naive: {} }];
    });
    const planned = plannedCases(cases, machine);
    await withEngine(machine, 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      for (const [index, placed] of planned.cases.entries()) {
        const [name, x] = hard[index]!;
        const q = outputOf(placed, 'q', after);
        const shape = x.shape as [number, number];
        // Sums of up to 80 products of fp32; columns beyond the rank are as good as the others.
        expect({ name, isOrthonormal: gramError(q, shape) < 4e-6 }).toEqual({ name, isOrthonormal: true });
        // What is left out has at most a hundredth of a column's length: the share that counts as dependent.
        expect({ name, isSpanned: outside(x, q) < 0.01 }).toEqual({ name, isSpanned: true });
      }
    });
  });
});
