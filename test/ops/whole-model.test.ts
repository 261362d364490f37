/** Whole training runs on the CPU engine, against recordings from PyTorch and against each other. */
import { describe, expect, test } from '@jest/globals';
import type { RecomputePolicy } from '../../lib/compile/index.js';
import { cpuTarget, Engine } from '../../lib/runtime/index.js';
import { describeWholeModel, type WholeModelOptions } from '../helpers/describe-whole-model.js';
import { batches, methodOf, startTiny, tinyPlan, trainTiny } from '../helpers/whole-model.js';

const threads = 2;
const target = cpuTarget({ threads });

const withMachine: WholeModelOptions['withMachine'] = async (plan, body) => {
  const engine = await Engine.open({ device: 'cpu', threads });
  try {
    await engine.load(plan);
    await body(engine);
  } finally {
    await engine.close();
  }
};

describeWholeModel({ target, withMachine });

describe('memory', () => {
  const methods = {
    dense: methodOf({ name: 'dense' }),
    'compact, stored': methodOf({ name: 'compact', rankRatio: 0.25 }),
    'compact, lazy': methodOf({ name: 'compact', rankRatio: 0.25, store: 'lazy', outputProjection: 'lazy' }),
    'compact, one projection per weight': methodOf({ name: 'compact', rank: 5, sharing: 'weight' }),
  };
  const cases = Object.keys(methods).flatMap((name) =>
    (['none', 'cheap', 'layer'] as const).map((recompute): [keyof typeof methods, RecomputePolicy] => [
      name as keyof typeof methods,
      recompute,
    ]),
  );

  test.each(cases)('%s, recompute %s: the engine holds what the plan says', async (name, recompute) => {
    for (const options of [{}, { accumulateGradients: true }, { maxGradNorm: 1, dtype: 'bf16' as const }]) {
      const plan = tinyPlan(methods[name], target, { recompute, ...options });
      const engine = await Engine.open({ device: 'cpu', threads });
      try {
        await engine.load(plan);
        expect(engine.memory()).toEqual({
          persistentBytes: plan.persistentBytes,
          arenaBytes: plan.arenaBytes,
          allocatedBytes: plan.peakBytes,
          overheadBytes: 0,
        });
        await startTiny(engine, plan);
        await trainTiny(engine, plan, methods[name], { microBatches: 1, learningRates: [0.01] });
        expect(engine.memory().allocatedBytes).toBe(plan.peakBytes);
      } finally {
        await engine.close();
      }
    }
  });
});

describe('training', () => {
  const adam = { betas: [0.9, 0.99], epsilon: 1e-6 } as const;
  const thirtySteps = { microBatches: 1, learningRates: Array<number>(30).fill(0.01) };

  // One batch over and over: a model of this size learns it by heart if gradients and updates are of any use.
  test.each([
    ['dense', 'f32', methodOf({ name: 'dense', ...adam })],
    ['dense', 'bf16', methodOf({ name: 'dense', ...adam })],
    ['compact', 'f32', methodOf({ name: 'compact', ...adam, rankRatio: 0.5, updateScale: 1 })],
    ['compact', 'bf16', methodOf({ name: 'compact', ...adam, rankRatio: 0.5, updateScale: 1 })],
  ] as const)('%s in %s learns a batch by heart', async (_, dtype, method) => {
    const plan = tinyPlan(method, target, { dtype, entries: ['train'] });
    await withMachine(plan, async (engine) => {
      await startTiny(engine, plan);
      const same = Array<(typeof batches)[number]>(30).fill(batches[0]!);
      const { losses } = await trainTiny(engine, plan, method, thirtySteps, same);
      expect(losses[0]).toBeGreaterThan(4);
      expect(losses[29]).toBeLessThan(1);
    });
  });

  test('any number of threads gives the same bits', async () => {
    const method = methodOf({ name: 'compact', ...adam, rankRatio: 0.5, refreshInterval: 2 });
    const results: (readonly number[])[] = [];
    for (const count of [1, 2, 3]) {
      const plan = tinyPlan(method, cpuTarget({ threads: count }), { entries: ['train'] });
      const engine = await Engine.open({ device: 'cpu', threads: count });
      try {
        await engine.load(plan);
        await startTiny(engine, plan);
        const { losses } = await trainTiny(engine, plan, method, {
          microBatches: 1,
          learningRates: [0.01, 0.01, 0.01, 0.01],
        });
        results.push(losses);
      } finally {
        await engine.close();
      }
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});
