/** Fira: what it holds, beside GaLore. Its steps: test/train/fira.test.ts. */
import { describe, expect, test } from '@jest/globals';
import { memoryReport } from '../../lib/memory/index.js';
import { fira, galore } from '../../lib/methods/index.js';
import { planSmall } from '../helpers/plan-small.js';

describe('a plan', () => {
  test('has states of n r + 2 r m + 1 elements for each weight', () => {
    const [h, f, rank, layers] = [32, 88, 8, 3];
    const states = memoryReport(planSmall(fira({ rank }))).byKind.optimizerState;
    const square = h * rank + 2 * rank * h + 1;
    const wide = h * rank + 2 * rank * f + 1; // gate and up as down
    const full = 2 * (2 * 64 * h + (2 * layers + 1) * h);
    expect(states).toBe(4 * (layers * (4 * square + 3 * wide) + full));
  });

  test.each(['none', 'cheap', 'layer'] as const)('has one full gradient alive, recompute %s', (recompute) => {
    const plan = planSmall(fira({ rank: 8 }), { recompute });
    const isFull = (index: number): boolean => {
      const { kind, bytes, layer } = plan.values[index]!;
      return kind === 'gradient' && layer.startsWith('layers.') && bytes >= 4 * 32 * 32;
    };
    for (const name of ['step', 'step:refresh']) {
      const { lifetimes, instructions } = plan.entries[name]!;
      const full = lifetimes.filter(({ value }) => isFull(value));
      const alive = instructions.map(
        (_, i) => full.filter(({ first, last }) => first <= i && i <= last).length,
      );
      expect(Math.max(...alive)).toBe(1);
    }
  });

  test('with accumulation holds of a gradient what that of galore holds', () => {
    const change = { accumulateGradients: true, maxGradNorm: 1 };
    const [plan, other] = [fira({ rank: 8 }), galore({ rank: 8 })].map((method) => planSmall(method, change));
    expect(memoryReport(plan!).byKind.gradient).toBe(memoryReport(other!).byKind.gradient);
  });
});

test.each(['apollo', 'apollo-mini'] as const)('%s is refused by name', (optimizer) => {
  expect(() => fira({ optimizer })).toThrow(
    expect.objectContaining({
      code: 'ERR_COMPACT_CONFIG_VALUE',
      message: expect.stringContaining(`${optimizer} does not work with fira`),
    }),
  );
});
