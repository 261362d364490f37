/** Weights in bf16 that are rounded by chance: the same numbers as the twin draws, and right on average. */
import { describe, expect, test } from '@jest/globals';
import { plannedCases, runOps } from '../helpers/describe-ops.js';
import { machines, withEngine } from '../helpers/machines.js';
import { type OpCase, opCases } from '../helpers/op-case.js';
import { outputOf } from '../helpers/op-plan.js';
import { randomTensor } from '../helpers/random.js';
import { mapElements, tensor, type Tensor } from '../reference/index.js';

const rounding = { stochasticRounding: 1, roundingSeed: 77, tensorId: 5, step: 12 };
const powersOfTwo = (shape: readonly number[]): Tensor =>
  mapElements(randomTensor('sign', shape), (value, i) => Math.sign(value) * 2 ** ((i % 5) - 2));

/**
 * Updates whose fp32 arithmetic is exact: bf16 weights near 1, and steps of a few bits below their last place. So
 * every device must round the same number, and the result is the twin's, bit for bit.
 */
function exactCases(shape: readonly number[]): OpCase[] {
  const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : (shape as [number, number]);
  const weight = mapElements(randomTensor('weight', shape), (value) => Math.sign(value) * 1.25);
  const gradient = mapElements(powersOfTwo(shape), (value, i) => value * (1 + (i % 3)) * 2 ** -12);
  const sgd = opCases(
    { op: 'sgd', inputs: { weight, gradient }, attributes: { ...rounding, learningRate: 0.5 } },
    ['bf16 f32'],
  );
  const along = opCases(
    {
      op: 'weightUpdate',
      inputs: { weight, direction: gradient },
      attributes: { ...rounding, learningRate: 0.5 },
    },
    ['bf16 f32'],
  );
  if (shape.length === 1) return [...sgd, ...along];
  const identity = { seedLow: 1, seedHigh: 0, epoch: 0, distribution: 2, learningRate: 0.5 };
  const direction = mapElements(powersOfTwo([rows, columns]), (value) => value * 2 ** -11);
  const update = { op: 'projectBackUpdate', inputs: { weight, direction } };
  return [
    ...sgd,
    ...along,
    ...opCases({ ...update, attributes: { ...rounding, ...identity } }, ['bf16 f32']),
  ];
}

describe('stochastic rounding', () => {
  test.each(machines)('draws the stated numbers (%s)', async (machine) => {
    const cases = [[1], [7], [41], [1024], [3, 9], [33, 64], [130, 72]].flatMap(exactCases);
    const planned = plannedCases(cases, machine);
    await withEngine(machine, 2, async (engine) => {
      await engine.load(planned.plan);
      const after = await runOps(engine, planned);
      for (const placed of planned.cases) {
        const right = placed.opCase.right.weight!.data;
        expect([placed.opCase.name, outputOf(placed, 'weight', after)]).toEqual([placed.opCase.name, right]);
        expect(placed.opCase.naive.weight!.data).toEqual(right); // nothing is lost in fp32: the case is exact
      }
    });
  });

  test.each(['adamW', 'projectBackUpdate'] as const)('%s is right on average', async (op) => {
    // The weight moves by an eighth of its last place; nearest rounding would leave it where it was.
    const shape = [64, 256];
    const step = 2 ** -7 / 8;
    const learningRate = 1;
    const weight = tensor(shape, Array<number>(64 * 256).fill(1));
    const common = {
      weight,
      gradient: tensor(shape, weight.data),
      expAvg: tensor(shape),
      expAvgSq: tensor(shape),
    };
    const adam = { beta1: 0, beta2: 0, epsilon: 0, updateScale: -step };
    const [opCase] =
      op === 'adamW'
        ? opCases({ op, inputs: common, attributes: { ...rounding, ...adam, learningRate } }, [
            'bf16 f32 f32',
          ])
        : opCases(
            {
              op,
              inputs: { weight, direction: mapElements(weight, () => -step) },
              attributes: { ...rounding, seedLow: 1, seedHigh: 0, epoch: 0, distribution: 2, learningRate },
            },
            ['bf16 f32'],
          );
    const planned = plannedCases([opCase!], 'scalar');
    await withEngine('scalar', 2, async (engine) => {
      await engine.load(planned.plan);
      const values = outputOf(planned.cases[0]!, 'weight', await runOps(engine, planned));
      const ups = values.filter((value) => value === 1 + 2 ** -7).length;
      expect(values.every((value) => value === 1 || value === 1 + 2 ** -7)).toBe(true);
      const z = (ups - values.length / 8) / Math.sqrt((values.length * 7) / 64);
      expect(Math.abs(z)).toBeLessThan(3.5);
    });
  });

  test('weightUpdateInt8 is right on average', async () => {
    // Each weight moves by an eighth of its last place.
    const shape = [64, 256];
    const [opCase] = opCases(
      {
        op: 'weightUpdateInt8',
        inputs: {
          codes: tensor(shape, Array<number>(64 * 256).fill(100)),
          scales: tensor([64], Array<number>(64).fill(0.5)),
          direction: tensor(shape, Array<number>(64 * 256).fill(-0.5 / 8)),
        },
        attributes: { ...rounding, groupSize: 256, learningRate: 1 },
      },
      ['f32'],
    );
    const planned = plannedCases([opCase!], 'scalar');
    await withEngine('scalar', 2, async (engine) => {
      await engine.load(planned.plan);
      const codes = outputOf(planned.cases[0]!, 'codes', await runOps(engine, planned));
      const ups = codes.filter((code) => code === 101).length;
      expect(codes.every((code) => code === 100 || code === 101)).toBe(true);
      const z = (ups - codes.length / 8) / Math.sqrt((codes.length * 7) / 64);
      expect(Math.abs(z)).toBeLessThan(3.5);
    });
  });
});
