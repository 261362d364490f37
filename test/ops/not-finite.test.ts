/**
 * NaN is never swallowed: one NaN in an input makes NaN of every output that the twin makes NaN (it may spread further
 * among values that a kernel works on together). Finite inputs never make NaN, however large.
 */
import { describe, expect, test } from '@jest/globals';
import { plannedCases, runOps } from '../helpers/describe-ops.js';
import { machines, withEngine } from '../helpers/machines.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { outputOf } from '../helpers/op-plan.js';
import { randomTensor } from '../helpers/random.js';
import { mapElements, tensor, type Tensor } from '../reference/index.js';

const rows = 5;
const columns = 37;
const x = randomTensor('x', [rows, columns]);
const row = randomTensor('row', [columns]);
const scales = randomTensor('scales', [2 * columns]);
const angles = tensor(
  [rows, 4],
  Array.from({ length: 4 * rows }, (_, i) => i / 7),
);
const tables = { cos: mapElements(angles, Math.cos), sin: mapElements(angles, Math.sin) };
const heads = randomTensor('heads', [rows, 16]);
const targets = tensor([rows], [3, 1, -100, 0, 2]);
const adam = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, learningRate: 0.1 };
const key = { seedLow: 1, seedHigh: 2, tensorId: 3, epoch: 4 };

/** With element 50 (row 1) of the named input not a number. */
function withNaN(op: string, inputs: Record<string, Tensor>, name: string, attributes = {}): OpCase[] {
  const spoiled = mapElements(inputs[name]!, (value, i) =>
    i === 50 % inputs[name]!.data.length ? NaN : value,
  );
  return opCases({ op, label: `NaN in ${name}`, inputs: { ...inputs, [name]: spoiled }, attributes });
}

const attentionAttributes = { sequenceLength: rows, headSize: 8, causal: 1, scale: 0.4 };
const states = { gradient: x, expAvg: x, expAvgSq: mapElements(x, Math.abs) };

const cases = (): OpCase[] => [
  ...['a', 'b'].flatMap((name) => withNaN('matmul', { a: x, b: randomTensor('b', [columns, 3]) }, name)),
  ...['a', 'scales'].flatMap((name) =>
    withNaN('matmulInt8', { a: x, codes: tensor([columns, 4], new Uint8Array(148).fill(3)), scales }, name, {
      groupSize: 2,
    }),
  ),
  ...withNaN('project', { x }, 'x', { ...key, rank: 9 }),
  ...withNaN('projectBackUpdate', { weight: x, direction: x }, 'direction', { ...key, ...adam }),
  ...withNaN('embedding', { table: x, ids: tensor([3], [0, 1, 2]) }, 'table'),
  ...['x', 'weight'].flatMap((name) => withNaN('rmsNorm', { x, weight: row }, name, { epsilon: 1e-6 })),
  ...['a', 'b', 'weight'].flatMap((name) =>
    withNaN('addRmsNorm', { a: x, b: x, weight: row }, name, { epsilon: 1e-6 }),
  ),
  ...withNaN('layerNorm', { x, weight: row, bias: row }, 'x', { epsilon: 1e-6 }),
  ...withNaN('rope', { x: heads, ...tables }, 'x', { headSize: 8 }),
  ...['q', 'k', 'v'].flatMap((name) =>
    withNaN('attention', { q: heads, k: heads, v: heads }, name, attentionAttributes),
  ),
  ...['silu', 'gelu', 'tanh', 'scale', 'clip', 'dropout', 'copy', 'cast'].flatMap((op) =>
    withNaN(op, { x }, 'x', { factor: 2, limit: 0.5, probability: 0, ...key, step: 1 }),
  ),
  ...['silu', 'gelu'].flatMap((op) => withNaN(`${op}Backward`, { x, dy: x }, 'x')),
  ...['gate', 'up'].flatMap((name) => withNaN('swiglu', { gate: x, up: x }, name)),
  ...['add', 'multiply'].flatMap((op) => withNaN(op, { a: x, b: x }, 'b')),
  ...withNaN('columnSum', { x }, 'x'),
  ...withNaN('crossEntropy', { logits: x, targets }, 'logits'),
  ...withNaN('crossEntropyBackward', { logits: x, targets }, 'logits'),
  ...withNaN('linearCrossEntropy', { x, weight: randomTensor('head', [5, columns]), targets }, 'x'),
  ...withNaN('adamW', { weight: x, ...states }, 'gradient', { ...adam, step: 2 }),
  ...withNaN('sgd', { weight: x, gradient: x }, 'gradient', { learningRate: 1 }),
  ...withNaN('momentum', { gradient: x, buffer: x }, 'gradient', { factor: 0.9 }),
  ...withNaN('lionDirection', { gradient: x, average: x }, 'gradient', { beta1: 0.9, beta2: 0.99 }),
  ...[0, 1, 2].flatMap((of) => withNaN('divideByNorm', { x }, 'x', { of, epsilon: 1e-8 })),
  ...withNaN('weightUpdate', { weight: x, direction: x }, 'direction', { learningRate: 1 }),
  ...withNaN('sumOfSquares', { x, partials: tensor([1]) }, 'x', { index: 0 }),
  ...withNaN('gradientNorm', { partials: row }, 'partials', { maxNorm: 1 }),
];

describe('not finite', () => {
  test.each(machines)('%s', async (machine) => {
    const planned = plannedCases(cases(), machine);
    await withEngine(machine, 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      const swallowed = planned.cases.flatMap((placed) =>
        placed.opCase.outputs.flatMap(({ name }) => {
          const found = outputOf(placed, name, after);
          const right = placed.opCase.right[name]!.data;
          const isLost = right.some((value, i) => Number.isNaN(value) && !Number.isNaN(found[i]));
          return isLost ? [`${placed.opCase.name}: ${name}`] : [];
        }),
      );
      expect(swallowed).toEqual([]);
    });
  });

  // The largest finite values, and those whose exponentials are beyond fp32, must not become NaN.
  test.each(machines)('extremes stay finite (%s)', async (machine) => {
    const extremes = tensor([1, 8], [-3e38, -200, -88.8, -0, 0, 88.8, 200, 3e38]);
    const logits = tensor([2, 4], [-3e38, 3e38, 0, 1, 1e4, -1e4, 0, 0]);
    const finite = [
      ...['silu', 'gelu'].flatMap((op) => opCases({ op, inputs: { x: extremes } })),
      ...opCases({ op: 'gelu', label: 'tanh form', inputs: { x: extremes }, attributes: { approximate: 1 } }),
      ...['crossEntropy', 'crossEntropyBackward'].flatMap((op) =>
        opCases({ op, inputs: { logits, targets: tensor([2], [1, 1]) } }),
      ),
    ];
    const planned = plannedCases(finite, machine);
    await withEngine(machine, 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      const notFinite = planned.cases.flatMap((placed) =>
        placed.opCase.outputs.flatMap(({ name }) =>
          outputOf(placed, name, after).every(Number.isFinite) ? [] : [`${placed.opCase.name}: ${name}`],
        ),
      );
      expect(notFinite).toEqual([]);
    });
  });
});
